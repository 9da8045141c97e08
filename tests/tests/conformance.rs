//! Every specification case as one named test.
use libtest_mimic::{Arguments, Failed, Trial};
use quorate_tests::spec::{Corpus, all_cases};

fn main() {
    let args = Arguments::from_args();
    let corpus = match Corpus::open() {
        Ok(corpus) => corpus,
        Err(why) => {
            eprintln!("{why}");
            std::process::exit(1);
        }
    };
    let trials = all_cases(&corpus)
        .into_iter()
        .map(|case| Trial::test(case.name, move || (case.run)().map_err(Failed::from)))
        .collect();
    libtest_mimic::run(&args, trials).exit();
}
