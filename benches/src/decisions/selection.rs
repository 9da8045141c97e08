//! Server selection: as an operation pays for it, and worked out afresh.

use super::{Decision, Deployment, Target};
use quorate_core::selection::{
    CandidateCache, DEFAULT_LOCAL_THRESHOLD, SelectionCriteria, check, in_window, power_of_two, suitable,
};
use quorate_core::{Duration, ReadPreference, ReadPreferenceMode, Rng, TagSet};
use std::hint::black_box;

use ReadPreferenceMode::{Nearest, Primary, PrimaryPreferred, Secondary, SecondaryPreferred};

pub(super) fn decisions(deployment: &Deployment) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for (name, criteria) in questions() {
        decisions.push(warm(deployment, &name, criteria.clone()));
        decisions.push(fresh(deployment, &name, criteria));
    }
    decisions
}

/// Every mode alone, with tag sets, with staleness, with both. `nearest` asks the most, so what is called plainly
/// `select.tags` or `select.staleness` is of that mode.
fn questions() -> Vec<(String, SelectionCriteria)> {
    let names = ["primary", "primary_preferred", "secondary", "secondary_preferred", "nearest"];
    let modes = [Primary, PrimaryPreferred, Secondary, SecondaryPreferred, Nearest];
    let mut all = vec![("select.writable".to_owned(), SelectionCriteria::Writable)];
    for (name, mode) in names.into_iter().zip(modes) {
        let plain = ReadPreference::new(mode);
        let mut add = |suffix: &str, preference: ReadPreference| {
            let of_mode = if mode == Nearest && !suffix.is_empty() { "" } else { name };
            let dot = if of_mode.is_empty() { "" } else { "." };
            let name = format!("select{dot}{of_mode}{suffix}");
            all.push((name, SelectionCriteria::ReadPreference(preference)));
        };
        add("", plain.clone());
        // The specification allows neither with the mode `primary`.
        if mode != Primary {
            add(".tags", plain.clone().with_tag_sets(tag_sets()));
            add(".staleness", plain.clone().with_max_staleness(Duration::from_secs(90)));
            add(
                ".tags_staleness",
                plain.with_tag_sets(tag_sets()).with_max_staleness(Duration::from_secs(90)),
            );
        }
    }
    all
}

/// One that nobody has, one that a sixth has, and "anybody".
fn tag_sets() -> Vec<TagSet> {
    let set = |tags: &[(&str, &str)]| -> TagSet {
        tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    vec![set(&[("dc", "mars")]), set(&[("dc", "sf"), ("rack", "0")]), TagSet::new()]
}

/// As an operation pays for it: the candidates are known, and the less busy of two is taken.
fn warm(deployment: &Deployment, name: &str, criteria: SelectionCriteria) -> Decision {
    let snapshot = deployment.snapshot.clone();
    let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, None);
    let operations = busy(snapshot.len());
    let mut rng = Rng::new(1);
    let members = snapshot.len();
    // A clone each time would not be fair either way: an operation has its criteria already.
    Decision::new(name, members, move || {
        let load = |at: u32| operations.get(at as usize).copied().unwrap_or(0);
        let picked = cache.pick(&snapshot, black_box(&criteria), load, &mut rng);
        assert!(matches!(black_box(picked), Ok(Some(_))));
    })
    .within(warm_target(members))
}

/// Worked out from the topology, with nothing remembered.
fn fresh(deployment: &Deployment, name: &str, criteria: SelectionCriteria) -> Decision {
    let snapshot = deployment.snapshot.clone();
    let operations = busy(snapshot.len());
    let mut rng = Rng::new(1);
    let mut candidates = Vec::new();
    let members = snapshot.len();
    let target = if name == "select.secondary" { fresh_target(members) } else { None };
    Decision::new(&format!("{name}.fresh"), members, move || {
        let criteria = black_box(&criteria);
        assert!(check(&snapshot, criteria).is_ok());
        candidates.clear();
        suitable(&snapshot, criteria, &[], &mut candidates);
        in_window(&snapshot, DEFAULT_LOCAL_THRESHOLD, &mut candidates);
        let load = |at: u32| operations.get(at as usize).copied().unwrap_or(0);
        assert!(black_box(power_of_two(&candidates, load, &mut rng)).is_some());
    })
    .within(target)
}

/// Operations in flight by member.
fn busy(members: usize) -> Vec<u32> {
    (0..members).map(|i| (i * 5 % 7) as u32).collect()
}

fn warm_target(members: usize) -> Option<Target> {
    let ns = match members {
        3 => 25.0,
        1000 => 60.0,
        _ => return None,
    };
    Some(Target { ns, allocations: Some(0.0) })
}

fn fresh_target(members: usize) -> Option<Target> {
    let ns = match members {
        3 => 100.0,
        50 => 1_000.0,
        1000 => 15_000.0,
        _ => return None,
    };
    Some(Target { ns, allocations: None })
}
