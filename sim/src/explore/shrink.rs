//! The same failure from less: fewer faults, fewer tasks, fewer operations.

use super::plan::Plan;
use super::rule::Rule;
use super::run::{RunOptions, run};

/// Takes away from a plan what its failure does not need, with at most so many runs. What is left breaks the same rule.
pub fn shrink(plan: &Plan, rule: Rule, options: &RunOptions, runs: usize) -> Plan {
    let options = options.clone().with_trace(false);
    let mut shrinker = Shrinker { best: plan.clone(), rule, options, left: runs };
    loop {
        let before = shrinker.best.clone();
        shrinker.drop_tasks();
        shrinker.drop_faults();
        shrinker.drop_ops();
        shrinker.simplify();
        if shrinker.best == before || shrinker.left == 0 {
            return shrinker.best;
        }
    }
}

struct Shrinker {
    best: Plan,
    rule: Rule,
    options: RunOptions,
    left: usize,
}

impl Shrinker {
    /// Takes the smaller plan if it fails likewise.
    fn try_plan(&mut self, plan: Plan) -> bool {
        if self.left == 0 || plan == self.best {
            return false;
        }
        self.left -= 1;
        let fails = run(&plan, &self.options).violations.first().is_some_and(|first| first.rule == self.rule);
        if fails {
            self.best = plan;
        }
        fails
    }

    fn drop_tasks(&mut self) {
        let mut at = 0;
        while at < self.best.tasks.len() {
            let mut plan = self.best.clone();
            plan.tasks.remove(at);
            if plan.tasks.is_empty() || !self.try_plan(plan) {
                at += 1;
            }
        }
    }

    fn drop_faults(&mut self) {
        let mut at = 0;
        while at < self.best.faults.len() {
            let mut plan = self.best.clone();
            plan.faults.remove(at);
            if !self.try_plan(plan) {
                at += 1;
            }
        }
    }

    /// Operations of every task: halves first, then one by one. The pauses of those that go are kept.
    fn drop_ops(&mut self) {
        for task in 0..self.best.tasks.len() {
            let mut size = self.best.tasks[task].ops.len().div_ceil(2);
            while size > 0 {
                let mut at = 0;
                while at < self.best.tasks[task].ops.len() {
                    let mut plan = self.best.clone();
                    let ops = &mut plan.tasks[task].ops;
                    let end = (at + size).min(ops.len());
                    let pause: u64 = ops[at..end].iter().map(|op| op.pause_us).sum();
                    ops.drain(at..end);
                    if let Some(next) = ops.get_mut(at) {
                        next.pause_us += pause;
                    }
                    if ops.is_empty() && self.best.tasks.len() == 1 || !self.try_plan(plan) {
                        at += size;
                    }
                }
                size /= 2;
            }
        }
    }

    /// Plainer options, one at a time.
    fn simplify(&mut self) {
        let mut plan = self.best.clone();
        plan.shape.shuffle = false;
        self.try_plan(plan);
        let mut plan = self.best.clone();
        (plan.shape.link.jitter_us, plan.shape.link.fragment, plan.shape.link.loss_ppm) = (0, None, 0);
        self.try_plan(plan);
        for client in 0..self.best.clients.len() {
            let mut plan = self.best.clone();
            let options = &mut plan.clients[client];
            (options.max_pool, options.min_pool, options.max_connecting) = (None, None, None);
            (options.idle_ms, options.local_threshold_ms, options.wait_queue_ms) = (None, None, None);
            self.try_plan(plan);
        }
    }
}
