use super::*;

const DUMP: &str = "$timescale 1ns $end
$scope module weir $end
$var wire 1 ! valid $end
$scope module front $end
$var wire 1 ! valid $end
$var wire 12 # data [11:0] $end
$var wire 1 $ full $end
$upscope $end
$scope module writer $end
$var wire 1 % full $end
$upscope $end
$upscope $end
$enddefinitions $end
#0
0!
bxxxxxxxxxxxx #
0$
0%
#1
#2
1!
b101 #
#3
#6
b111100001111 #
0!
#7
1!
#8
";

fn window(names: &[&str], from: u64, to: u64) -> Result<Vec<Row>, WaveError> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    rows(DUMP.as_bytes(), &names, from, to, &|why| WaveError::Read {
        path: "test".to_owned(),
        why,
    })
}

#[test]
fn a_cycle_has_the_value_that_stands_in_its_first_half() {
    let rows = window(&["valid", "front.data"], 0, 5).expect("both are there");
    assert_eq!(rows[0].samples, ["0", "1", "1", "0", "1", "1"]);
    assert_eq!(rows[1].samples, ["xxx", "005", "005", "f0f", "f0f", "f0f"]);
    let later = window(&["data"], 2, 3).expect("there");
    assert_eq!(later[0].samples, ["005", "f0f"]);
}

#[test]
fn names_must_be_of_one_signal() {
    let unknown = window(&["ful"], 0, 1)
        .expect_err("no such signal")
        .to_string();
    assert!(unknown.contains("weir.front.full"), "{unknown}");
    let ambiguous = window(&["full"], 0, 1)
        .expect_err("two of them")
        .to_string();
    assert!(ambiguous.contains("weir.writer.full"), "{ambiguous}");
    assert!(window(&["writer.full"], 0, 1).is_ok());
    assert!(window(&["valid"], 3, 2).is_err());
    assert!(window(&["valid"], 0, MOST_CYCLES).is_err());
}

#[test]
fn a_drawing_has_every_row_and_value() {
    let rows = window(&["valid", "data"], 0, 5).expect("both are there");
    let drawing = svg("a < b", &rows, 0);
    assert!(drawing.starts_with("<svg") && drawing.ends_with("</svg>\n"));
    assert!(drawing.contains("a &lt; b") && drawing.contains(">front.data<"));
    for value in ["xxx", "005", "f0f"] {
        assert_eq!(
            drawing.matches(&format!("<title>{value}</title>")).count(),
            1,
            "{value}"
        );
    }
    // Low, high, low, high.
    let line = drawing
        .lines()
        .find(|line| line.contains("path d=\"M") && line.matches('H').count() == 4);
    assert!(line.is_some(), "{drawing}");
}

#[test]
fn streams_show_stalls_and_values_that_have_no_room() {
    let row = |name: &str, width, samples: &[&str]| Row {
        name: format!("weir.{name}"),
        width,
        samples: samples.iter().map(|&sample| sample.to_owned()).collect(),
    };
    let rows = [
        row("s_tvalid", 1, &["0", "1", "1", "1"]),
        row("s_tready", 1, &["0", "0", "0", "1"]),
        row(
            "s_tdata",
            64,
            &["00112233", "99887766", "99887766", "01234567"],
        ),
        row("m_tready", 1, &["0", "0", "0", "0"]),
    ];
    let drawing = svg("stalls", &rows, 7);
    // Two cycles of three rows, and the legend. Nothing waits where nothing is offered.
    assert_eq!(drawing.matches("<rect class=\"stall\"").count(), 2 * 3 + 1);
    assert_eq!(drawing.matches("<g class=\"idle\">").count(), 1);
    let written = |cycle, digits| {
        drawing.contains(&format!(">{cycle}</tspan>"))
            && drawing.contains(&format!(">{digits}</tspan>"))
    };
    // It has room over two cycles, and what is idle needs none.
    assert!(!written(8, "99887766") && !written(7, "112233"));
    assert!(written(10, "1234567"));
    assert!(drawing.contains(">s_tdata<") && !drawing.contains("weir."));
}
