//! One module for all instances that are alike.
//!
//! Rust-HDL writes a module for every instance, named by its path. With 64 lanes those are thousands, most of them the same
//! text; Verilator and yosys then compile the same thing over and over. Here modules whose text is the same, but for the names
//! of what they instantiate, become one, from the leaves upwards, so that the result is a hierarchy again.

use std::collections::HashMap;

/// A module of the generated text.
struct Module<'a> {
    path: &'a str,
    /// All between the name and `endmodule`.
    body: &'a str,
}

/// Rewrites generated Verilog so that equal modules are one, and names them `PREFIX_NAME`; the module with the path `top` becomes `PREFIX`.
/// What is not a module is left out: Rust-HDL writes nothing else that matters.
pub fn share(verilog: &str, prefix: &str) -> String {
    let mut modules = modules(verilog);
    // Children have longer paths than what they stand in.
    modules.sort_by_key(|module| std::cmp::Reverse(module.path.matches('$').count()));
    let mut names: HashMap<&str, String> = HashMap::new();
    let mut by_body: HashMap<String, String> = HashMap::new();
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut text = String::new();
    for module in &modules {
        let body = rename(module.body, &names);
        if let Some(name) = by_body.get(&body) {
            names.insert(module.path, name.clone());
            continue;
        }
        let name = if module.path.contains('$') {
            let stem = format!("{prefix}_{}", stem(module.path));
            let count = taken.entry(stem.clone()).or_default();
            *count += 1;
            match *count {
                1 => stem,
                count => format!("{stem}_{count}"),
            }
        } else {
            prefix.to_owned()
        };
        text.push_str(&format!("module {name}{body}endmodule\n\n"));
        by_body.insert(body, name.clone());
        names.insert(module.path, name);
    }
    text
}

/// The last part of a path that is a name, not a number.
fn stem(path: &str) -> &str {
    path.rsplit('$')
        .find(|part| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit()))
        .unwrap_or("part")
}

fn modules(verilog: &str) -> Vec<Module<'_>> {
    let mut modules = Vec::new();
    let mut rest = verilog;
    while let Some(at) = find_line(rest, "module ") {
        let after = &rest[at + "module ".len()..];
        let Some(open) = after.find('(') else { break };
        let Some(end) = find_line(after, "endmodule") else {
            break;
        };
        modules.push(Module {
            path: after[..open].trim(),
            body: &after[open..end],
        });
        rest = &after[end + "endmodule".len()..];
    }
    modules
}

/// Where a line that begins with `start`, after white space, has it.
fn find_line(text: &str, start: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if line[indent..].starts_with(start) {
            return Some(at + indent);
        }
        at += line.len();
    }
    None
}

/// Replaces the kinds of instances, which stand first on a line that ends with an open parenthesis: `KIND NAME(`.
fn rename(body: &str, names: &HashMap<&str, String>) -> String {
    let mut text = String::with_capacity(body.len());
    for line in body.split_inclusive('\n') {
        let trimmed = line.trim();
        let kind = trimmed
            .strip_suffix('(')
            .and_then(|instance| instance.split_once(' '))
            .and_then(|(kind, _)| Some((kind, names.get(kind)?)));
        match kind {
            Some((kind, name)) => text.push_str(&line.replacen(kind, name, 1)),
            None => text.push_str(line),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
module top(a,b);
    input wire a;
    // Sub module instances
    top$x$0 x$0(
        .a(x$0$a)
    );
    top$x$1 x$1(
        .a(x$1$a)
    );
    top$y y(
        .a(y$a)
    );
endmodule // top

module top$x$0(a);
    input wire a;
    top$x$0$dff dff(
        .d(dff$d)
    );
endmodule // top$x$0

module top$x$0$dff(d);
    input wire d;
endmodule // top$x$0$dff

module top$x$1(a);
    input wire a;
    top$x$1$dff dff(
        .d(dff$d)
    );
endmodule // top$x$1

module top$x$1$dff(d);
    input wire d;
endmodule // top$x$1$dff

module top$y(a);
    input wire a;
    localparam c = 1;
endmodule // top$y
";

    #[test]
    fn alike_becomes_one() {
        let shared = share(TEXT, "core");
        assert_eq!(shared.matches("module core").count(), 4, "{shared}");
        assert_eq!(shared.matches("core_x x$").count(), 2, "{shared}");
        assert_eq!(shared.matches("core_dff dff(").count(), 1, "{shared}");
        assert!(shared.contains("module core(a,b);"), "{shared}");
        assert!(shared.contains("core_y y("), "{shared}");
    }

    #[test]
    fn what_differs_stays_apart() {
        let text = TEXT.replacen("input wire d;", "input wire [1:0] d;", 1);
        let shared = share(&text, "core");
        assert_eq!(shared.matches("module core").count(), 6, "{shared}");
        assert!(shared.contains("module core_x_2("), "{shared}");
        assert!(shared.contains("module core_dff_2("), "{shared}");
    }
}
