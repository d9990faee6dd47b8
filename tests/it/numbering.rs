//! The table of numbering plans, compared with the Python port of Google's libphonenumber.
//!
//! Runs only where a Python with that package is available: see `vendor_clients`.

use std::process::Command;

use callscribe::internals::{Barred, PhoneNumber};

use crate::vendor_clients::test_python;

/// How many random numbers are compared, spread evenly over all regions.
const NUMBERS: usize = 100_000;

/// Returns what `numbering.py` prints, or `None` if there is no Python to run it.
fn libphonenumber(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(test_python()?);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/numbering.py")).args(arguments);
    command.env_clear().envs([("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUTF8", "1")]);
    let output = command.output().expect("CALLSCRIBE_TEST_PYTHON starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

#[test]
fn the_table_is_generated_from_libphonenumber() {
    let Some(generated) = libphonenumber(&["plans"]) else { return };
    let stored = include_str!("../../src/model/plans.txt");
    assert_eq!(stored, generated, "`python tests/it/numbering.py plans` regenerates it");
}

#[test]
fn countries_and_costs_match_libphonenumber() {
    let Some(numbers) = libphonenumber(&["numbers", "20261", &NUMBERS.to_string()]) else { return };
    let (mut compared, mut wrong) = (0, Vec::new());
    for line in numbers.lines() {
        let [text, region, cost] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("three columns: {line:?}") };
        let number: PhoneNumber = text.parse().unwrap_or_else(|bad| panic!("{line}: {bad}"));
        let country = number.country().map_or("001".to_owned(), |country| country.to_string());
        compared += 1;
        match (number.barred(), cost) {
            // In +1, libphonenumber also accepts Canadian 310 numbers without an area code.
            (Some(Barred::TooShort(_)), "plain") if text.starts_with("+1310") && text.len() == 9 => continue,
            (Some(Barred::Satellite | Barred::Service(_)), _) if region == "001" => {}
            (Some(Barred::Costly), "costly") | (None, "plain") => {}
            // libphonenumber lists +44 70 as personal numbers, regardless of their cost.
            (Some(Barred::Costly), "plain") if text.starts_with("+4470") => {}
            (barred, _) => wrong.push(format!("{line}: {barred:?}")),
        }
        if country != region {
            wrong.push(format!("{line}: {country}"));
        }
    }
    assert_eq!(compared, NUMBERS);
    assert!(wrong.is_empty(), "{} of {compared}: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}
