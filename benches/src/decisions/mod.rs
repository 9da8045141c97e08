//! The decisions of the core one by one, each as something that can be run any number of times: what
//! `--bin decisions` times and counts, and what criterion follows.

mod deployment;
mod discovery;
mod selection;
mod small;

pub use deployment::Deployment;

use std::fmt;

/// The sizes of deployment everything is measured at.
pub const SIZES: [usize; 4] = [3, 7, 50, 1000];

/// One decision, in one situation.
pub struct Decision {
    /// Which, as `select.nearest`; with `.fresh` for what is worked out anew.
    pub name: String,
    /// Members of the deployment; 0 where there is none.
    pub members: usize,
    /// What it may cost, where a figure was set.
    pub target: Option<Target>,
    run: Box<dyn FnMut(u64)>,
}

/// What a decision may cost.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// In nanoseconds.
    pub ns: f64,
    /// In allocations, where that was set.
    pub allocations: Option<f64>,
}

impl Decision {
    fn new(name: &str, members: usize, mut once: impl FnMut() + 'static) -> Self {
        let run = move |times| (0..times).for_each(|_| once());
        Decision { name: name.to_owned(), members, target: None, run: Box::new(run) }
    }

    fn within(mut self, target: Option<Target>) -> Self {
        self.target = target;
        self
    }

    /// Takes it so many times.
    pub fn run(&mut self, times: u64) {
        (self.run)(times);
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} members)", self.name, self.members)
    }
}

/// All decisions at the sizes given.
pub fn all(sizes: &[usize]) -> Vec<Decision> {
    let mut all = Vec::new();
    for &members in sizes {
        let deployment = Deployment::new(members);
        all.extend(selection::decisions(&deployment));
        all.extend(discovery::decisions(&deployment));
    }
    all.extend(small::decisions());
    all
}
