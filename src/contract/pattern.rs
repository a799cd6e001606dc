//! Patterns in which `*` stands for anything.

/// Whether a text is what a pattern says; without `*`, a pattern is the text itself.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("join/*", "join/a#b@107") && matches("*@107", "join/a@107"));
        assert!(matches("a*b*c", "a-b-b-c") && !matches("a*b*c", "a-c-b") && !matches("join/*", "x/join/a"));
    }

    #[test]
    fn without_a_star_only_the_same_text_matches() {
        assert!(matches("204", "204") && !matches("204", "2044") && !matches("a*a", "a"));
    }
}
