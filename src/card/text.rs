//! A report as lines of text.

use serde_json::Value;

/// Columns that the names of a level take.
const NAMES: usize = 34;

/// One line a value; what belongs to a name stands below it, indented. Counters that are zero are left out.
pub fn of(value: &Value) -> String {
    let mut text = String::new();
    lines(value, 0, &mut text);
    text
}

fn lines(value: &Value, level: usize, text: &mut String) {
    let indent = " ".repeat(2 * level);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('_', " ");
                match value {
                    Value::Object(inner) if inner.is_empty() => {}
                    Value::Array(inner) if inner.is_empty() => {}
                    Value::Array(inner) if inner.iter().all(is_plain) => {
                        let all: Vec<String> = inner.iter().map(plain).collect();
                        line(&indent, &name, &all.join(" "), text);
                    }
                    Value::Object(_) | Value::Array(_) => {
                        text.push_str(&format!("{indent}{name}\n"));
                        lines(value, level + 1, text);
                    }
                    Value::Null => {}
                    _ if level > 0 && value.as_f64() == Some(0.0) => {}
                    _ => line(&indent, &name, &plain(value), text),
                }
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    text.push('\n');
                }
                lines(value, level, text);
            }
        }
        _ => text.push_str(&format!("{indent}{}\n", plain(value))),
    }
}

fn line(indent: &str, name: &str, value: &str, text: &mut String) {
    let width = NAMES.saturating_sub(indent.len());
    text.push_str(&format!("{indent}{name:width$} {value}\n"));
}

fn is_plain(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_))
}

fn plain(value: &Value) -> String {
    match value {
        // Whatever stands in a message, it stays on its line.
        Value::String(text) => crate::ui::table::clean(text, 400),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (None, Some(real)) => format!("{real:.3}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_lines() {
        let value = serde_json::json!({
            "state": "healthy",
            "zero": 0,
            "identity": {"lanes": 64, "filters": [1, 2], "none": 0},
            "history": [{"state": "probing"}, {"state": "healthy"}],
            "nothing": [],
        });
        let text = of(&value);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        for line in [
            vec!["state", "healthy"],
            vec!["zero", "0"],
            vec!["lanes", "64"],
            vec!["filters", "1", "2"],
            vec!["history"],
            vec!["state", "probing"],
        ] {
            assert!(lines.contains(&line), "{line:?} in\n{text}");
        }
        assert!(
            !text.contains("none") && !text.contains("nothing"),
            "{text}"
        );
    }
}
