//! The formats of texts that the schemas assert, by the standards that name them; a library lets years such as `198/` pass.

use jiff::civil::Date;

/// A date as RFC 3339 5.6 has it: `full-date`.
pub(super) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_spelt_so = bytes.len() == 10
        && bytes.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let number = |range| text.get(range).and_then(|digits: &str| digits.parse::<i16>().ok());
    let day = |range| text.get(range).and_then(|digits: &str| digits.parse::<i8>().ok());
    is_spelt_so
        && match (number(0..4), day(5..7), day(8..10)) {
            (Some(year), Some(month), Some(day)) => Date::new(year, month, day).is_ok(),
            _ => false,
        }
}

/// A time as RFC 3339 5.6 has it: `date-time`, in any case of its letters, with a leap second where there may be one.
pub(super) fn is_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_at_checked(10) else {
        return false;
    };
    let Some(time) = time.strip_prefix(['T', 't']) else {
        return false;
    };
    let (clock, offset) = match time.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, Some(0)),
        None => {
            let Some(at) = time.rfind(['+', '-']) else { return false };
            let (clock, offset) = time.split_at(at);
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            (clock, hours_and_minutes(&offset[1..]).map(|minutes| sign * minutes))
        }
    };
    let Some(offset) = offset else { return false };
    let (clock, fraction) = clock
        .split_once('.')
        .map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((minutes, seconds)) = clock.split_at_checked(5) else {
        return false;
    };
    let seconds = seconds
        .strip_prefix(':')
        .filter(|seconds| seconds.len() == 2 && is_digits(seconds));
    let (Some(minutes), Some(seconds)) = (hours_and_minutes(minutes), seconds) else {
        return false;
    };
    // A leap second is the last of a day in UTC.
    let is_last = (minutes - offset).rem_euclid(24 * 60) == 24 * 60 - 1;
    let is_second = seconds < "60" || seconds == "60" && is_last;
    is_date(date) && is_second && fraction.is_none_or(is_digits)
}

/// `HH:MM`, in minutes.
fn hours_and_minutes(text: &str) -> Option<i32> {
    let is_spelt_so = text.len() == 5
        && text.bytes().enumerate().all(|(place, byte)| match place {
            2 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    let (hours, minutes) = text.split_once(':').filter(|_| is_spelt_so)?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use crate::contract::json::document::Document;

    /// Of each format that a schema asserts, texts that are and texts that are not of it.
    const EDGES: &[(&str, &[&str], &[&str])] = &[
        (
            "date",
            &["2026-11-29", "0001-01-01", "2024-02-29", "9999-12-31"],
            &[
                "2026-11-31",
                "2023-02-29",
                "2026-1-1",
                "26-01-01",
                "198/-04-12",
                "+198-04-12",
                "2026-11-29 ",
                "2026-11-29Z",
                "२०२६-११-२९",
                "",
            ],
        ),
        (
            "date-time",
            &[
                "2026-11-29T11:24:25.1345495Z",
                "2026-11-29T11:24:25Z",
                "2026-11-29t11:24:25z",
                "2026-11-29T11:24:25+00:00",
                "2026-11-29T11:24:25.1-23:59",
                "2016-12-31T23:59:60Z",
                "2016-12-31T18:59:60-05:00",
                "0001-01-01T00:00:00Z",
                "9999-12-31T23:59:59.9999999Z",
            ],
            &[
                "198/-04-12T23:20:50Z",
                "1/98-04-12T23:20:50Z",
                "-198-04-12T23:20:50Z",
                "+198-04-12T23:20:50Z",
                "198.-04-12T23:20:50Z",
                "1985-04-12 23:20:50Z",
                "1985-04-12T23:20:50",
                "1985-04-12T23:20Z",
                "1985-04-12T24:00:00Z",
                "1985-04-12T23:60:00Z",
                "1985-04-12T23:20:61Z",
                "1985-04-12T22:20:60Z",
                "1985-04-12T23:20:50.Z",
                "1985-04-12T23:20:50,5Z",
                "1985-04-12T23:20:50+24:00",
                "1985-04-12T23:20:50+0100",
                "1985-04-12T23:20:50+1:00",
                "1985-02-30T23:20:50Z",
                "1985-04-12T+3:20:50Z",
                "1985-04-12T23:20:+5Z",
                "1985-04-12",
                "",
            ],
        ),
        (
            "uuid",
            &[
                "0605a272-b0ee-4a7b-af88-a8cb6d96cea4",
                "0605A272-B0EE-4A7B-AF88-A8CB6D96CEA4",
                "00000000-0000-0000-0000-000000000000",
            ],
            &[
                "0605a272b0ee4a7baf88a8cb6d96cea4",
                "{0605a272-b0ee-4a7b-af88-a8cb6d96cea4}",
                "0605a272-b0ee-4a7b-af88-a8cb6d96cea",
                "0605a272-b0ee-4a7b-af88-a8cb6d96cea4 ",
                "0605a27-2b0ee-4a7b-af88-a8cb6d96cea4",
                "",
            ],
        ),
        (
            "uri",
            &["https://a.example/b?c#d", "urn:a:b"],
            &["//a.example/b", "/b", "a b:c", "https://a b", ""],
        ),
        (
            "uri-reference",
            &["https://a.example", "/b", "b#c", ""],
            &["a b", "\\b", "%zz"],
        ),
        ("json-pointer", &["", "/a/0/~0~1", "/"], &["a", "/~2", "/~", "#/a"]),
    ];

    #[test]
    fn every_format_that_a_schema_asserts_is_tried_at_its_edges() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for part in text.split("\"format\": \"").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(EDGES.iter().any(|(known, ..)| *known == name), "{name}");
            }
        }
        for (name, right, wrong) in EDGES {
            let schema = serde_json::json!({ "format": name });
            let validator = super::super::options().build(&schema).unwrap();
            for (texts, expected) in [(right, true), (wrong, false)] {
                for text in *texts {
                    let document = Document::of_text((*text).to_owned());
                    assert_eq!(validator.is_valid(document.root()), expected, "{name}: {text}");
                }
            }
        }
    }
}
