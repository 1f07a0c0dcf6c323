//! Lines over a common axis as a picture: SVG, small enough to be read.

use std::fmt::Write;

/// A line with its name.
pub struct Line {
    /// The name in the legend.
    pub name: String,
    /// Its points, by rising x; y is above 0.
    pub points: Vec<(f64, f64)>,
}

/// The whole picture, and the box that the lines are in: left, top, right, bottom.
const SIZE: (f64, f64) = (760.0, 420.0);
const BOX: (f64, f64, f64, f64) = (60.0, 40.0, 640.0, 380.0);

/// Colours that can be told apart, also by those who see fewer of them (Okabe and Ito, 2008).
const COLOURS: [&str; 7] =
    ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];

/// The picture; y grows by factors, so that curves that lie far apart can all be seen.
pub fn svg(title: &str, x_name: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most_x = points().fold(1.0, |most: f64, p| most.max(p.0));
    let (low, high) = points()
        .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), p| (low.min(p.1), high.max(p.1)));
    let (low, high) = (low.min(high) / 1.1, high.max(f64::MIN_POSITIVE) * 1.1);
    let x = |v: f64| BOX.0 + v / most_x * (BOX.2 - BOX.0);
    let y = |v: f64| BOX.3 - (v / low).ln() / (high / low).ln() * (BOX.3 - BOX.1);
    let mut out = Picture::new(title);
    for mark in marks(low, high) {
        out.path("#ddd", &[(BOX.0, y(mark)), (BOX.2, y(mark))]);
        out.text(BOX.0 - 6.0, y(mark) + 4.0, "end", &mark.to_string());
    }
    for quarter in 0..=4 {
        let v = most_x * f64::from(quarter) / 4.0;
        out.text(x(v), BOX.3 + 16.0, "middle", &format!("{v:.0}"));
    }
    out.text((BOX.0 + BOX.2) / 2.0, BOX.3 + 34.0, "middle", x_name);
    for (i, line) in lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let points: Vec<_> = line.points.iter().map(|p| (x(p.0), y(p.1))).collect();
        out.path(colour, &points);
        let at = BOX.1 + 18.0 * i as f64;
        out.path(colour, &[(BOX.2 + 10.0, at), (BOX.2 + 30.0, at)]);
        out.text(BOX.2 + 36.0, at + 4.0, "start", &line.name);
    }
    out.finish()
}

/// Round numbers between the two: 1, 2 and 5 times powers of ten.
fn marks(low: f64, high: f64) -> impl Iterator<Item = f64> {
    let powers = (-3..12).map(|power| 10_f64.powi(power));
    let marks = powers.flat_map(|ten| [1.0, 1.5, 2.0, 3.0, 5.0, 7.0].map(|n| n * ten));
    marks.filter(move |mark| (low..=high).contains(mark))
}

struct Picture(String);

impl Picture {
    fn new(title: &str) -> Self {
        let (width, height) = SIZE;
        let mut it = Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        ));
        it.text((BOX.0 + BOX.2) / 2.0, 22.0, "middle", title);
        it.path("black", &[(BOX.0, BOX.1), (BOX.0, BOX.3), (BOX.2, BOX.3)]);
        it
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    fn path(&mut self, colour: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        let _ =
            writeln!(self.0, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\"/>");
    }

    fn finish(self) -> String {
        self.0 + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_lies_within_the_box() {
        let line = |n: f64| Line {
            name: format!("{n} & more"),
            points: vec![(0.0, n), (500.0, 3.0 * n), (1000.0, 2.0 * n)],
        };
        let picture = svg("a < b", "x", &[line(1.0), line(70.0)]);
        assert!(picture.contains("a &lt; b") && picture.contains("70 &amp; more"));
        let lists = picture.split("points=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        for point in lists.flat_map(|list| list.split(' ')) {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((0.0..=SIZE.0).contains(&x) && (BOX.1..=BOX.3).contains(&y), "{point}");
        }
        assert_eq!(
            svg("one", "x", &[Line { name: String::new(), points: vec![(1.0, 1.0)] }])
                .matches("NaN")
                .count(),
            0
        );
        assert!(!svg("none", "x", &[]).contains("NaN"));
    }

    #[test]
    fn marks_are_round() {
        assert_eq!(marks(14.0, 60.0).collect::<Vec<_>>(), [15.0, 20.0, 30.0, 50.0]);
    }
}
