//! The table of numbering plans, held against Google's libphonenumber in its port to Python.
//!
//! Looked at only where a Python has that package: see `vendor_clients`.

use std::process::Command;

use callscribe::model::numbering::Barred;
use callscribe::model::phone::PhoneNumber;

use crate::vendor_clients::test_python;

/// So many numbers are compared, of all regions and kinds alike.
const NUMBERS: usize = 100_000;

/// What `numbering.py` prints; none where there is no Python to run it.
fn libphonenumber(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(test_python()?);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/numbering.py")).args(arguments);
    command.env_clear().envs([("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUTF8", "1")]);
    let output = command.output().expect("CALLSCRIBE_TEST_PYTHON starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

#[test]
fn the_table_is_what_it_says_it_is_made_of() {
    let Some(made) = libphonenumber(&["plans"]) else { return };
    assert_eq!(include_str!("../../src/model/plans.txt"), made, "python tests/it/numbering.py plans makes it anew");
}

#[test]
fn countries_and_costs_are_those_of_libphonenumber() {
    let Some(numbers) = libphonenumber(&["numbers", "20261", &NUMBERS.to_string()]) else { return };
    let (mut compared, mut barred_by_length, mut wrong) = (0, 0, Vec::new());
    for line in numbers.lines() {
        let [text, region, cost] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("three columns: {line:?}") };
        let number: PhoneNumber = text.parse().expect("a number");
        let country = number.country().map_or("001".to_owned(), |country| country.to_string());
        compared += 1;
        match (number.barred(), cost) {
            // In +1, libphonenumber knows Canadian numbers without their area code, too.
            (Some(Barred::Short), "plain") if text.starts_with("+1310") && text.len() == 9 => continue,
            (Some(Barred::Satellite | Barred::Service(_)), _) if region == "001" => {}
            (Some(Barred::Costly), "costly") | (None, "plain") => {}
            // It has them as personal numbers, whatever they cost.
            (Some(Barred::Costly), "plain") if text.starts_with("+4470") => {}
            // Only its length would tell that this one is plain.
            (Some(Barred::Costly), "plain") => barred_by_length += 1,
            (barred, _) => wrong.push(format!("{line}: {barred:?}")),
        }
        if country != region {
            wrong.push(format!("{line}: {country}"));
        }
    }
    println!("{compared} numbers: {} wrong, {barred_by_length} refused that are plain", wrong.len());
    assert_eq!(compared, NUMBERS);
    assert!(wrong.is_empty(), "{} of {compared}: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    assert!(barred_by_length * 400 < compared, "{barred_by_length} of {compared} plain numbers are refused");
}
