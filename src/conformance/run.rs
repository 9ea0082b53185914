//! Runs checks: a few at a time, each with an end.
//!
//! Does not know: what they check.

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

use super::{Choice, Failure, Outcome, Rule, Stop, Verdict};

/// A check that is under way.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 'a>>;

/// A rule with the function that checks it. `P` is what the checks of one suite share: the server, and ways to speak to it.
pub struct Check<P: 'static> {
    /// What is demanded.
    pub rule: Rule,
    /// Looks whether it is met.
    pub look: for<'a> fn(&'a P) -> Looking<'a>,
}

/// How checks are run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which checks.
    pub choice: Choice,
    /// How many at once.
    pub jobs: usize,
    /// How long one check may take.
    pub limit: Duration,
    /// How long a slow one may take.
    pub slow_limit: Duration,
}

impl Default for Options {
    /// Four at a time: waiting is most of what they do, and a small server is not to be overrun. A check takes milliseconds, and on
    /// a server that answers nothing a few times its patience of 5 s, so 30 s bound it. A slow one waits for
    /// heartbeats of 25 s or more.
    fn default() -> Self {
        Self {
            choice: Choice::default(),
            jobs: 4,
            limit: Duration::from_secs(30),
            slow_limit: Duration::from_secs(120),
        }
    }
}

/// Runs the chosen checks and gives the outcomes in the checks' order. `over` is what they run over, where that has to be said;
/// `done` hears of each as soon as it and all before it have an outcome.
pub async fn run<P: Sync>(
    checks: &[&Check<P>],
    probe: &P,
    options: &Options,
    over: Option<&'static str>,
    mut done: impl FnMut(&Outcome),
) -> Vec<Outcome> {
    let chosen = checks.iter().filter(|check| options.choice.has(&check.rule));
    let mut running = stream::iter(chosen.map(|check| one(check, probe, options, over))).buffered(options.jobs.max(1));
    let mut outcomes = Vec::new();
    while let Some(outcome) = running.next().await {
        done(&outcome);
        outcomes.push(outcome);
    }
    outcomes
}

async fn one<P>(check: &Check<P>, probe: &P, options: &Options, over: Option<&'static str>) -> Outcome {
    let rule = check.rule;
    let started = Instant::now();
    let verdict = if rule.slow && !options.choice.slow {
        Verdict::Skipped("it takes its time; --slow runs it".to_owned())
    } else {
        let limit = if rule.slow { options.slow_limit } else { options.limit };
        match tokio::time::timeout(limit, (check.look)(probe)).await {
            Ok(result) => result.into(),
            Err(_) => Verdict::Failed(Failure::new(
                format!("the check had not ended after {limit:?}"),
                "answers, or an end of the connection, in time",
            )),
        }
    };
    Outcome { rule, over, verdict, took: started.elapsed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Level;

    const fn rule(id: &'static str, slow: bool) -> Rule {
        Rule { id, group: "g", level: Level::Must, demand: "", source: "", why: "", slow }
    }

    static CHECKS: [Check<()>; 4] = [
        Check {
            rule: rule("late", false),
            look: |()| {
                Box::pin(async {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok(())
                })
            },
        },
        Check { rule: rule("bad", false), look: |()| Box::pin(async { Err(Stop::failed("a", "b")) }) },
        Check { rule: rule("endless", false), look: |()| Box::pin(std::future::pending()) },
        Check { rule: rule("slow", true), look: |()| Box::pin(async { Ok(()) }) },
    ];

    async fn names(options: &Options) -> Vec<(&'static str, &'static str)> {
        let all: Vec<_> = CHECKS.iter().collect();
        let mut heard = Vec::new();
        let outcomes = run(&all, &(), options, None, |outcome| heard.push(outcome.rule.id)).await;
        assert_eq!(heard, outcomes.iter().map(|outcome| outcome.rule.id).collect::<Vec<_>>());
        outcomes.iter().map(|outcome| (outcome.rule.id, outcome.verdict.name())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn every_check_ends_and_the_outcomes_are_in_order() {
        let expected = [("late", "passed"), ("bad", "failed"), ("endless", "failed"), ("slow", "skipped")];
        assert_eq!(names(&Options::default()).await, expected);
        assert_eq!(names(&Options { jobs: 0, ..Options::default() }).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_checks_run_when_they_are_asked_for() {
        let choice = Choice { slow: true, filters: vec!["slow".to_owned()], ..Choice::default() };
        assert_eq!(names(&Options { choice, ..Options::default() }).await, [("slow", "passed")]);
    }
}
