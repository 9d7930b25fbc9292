//! The style of the plots. They appear on light and dark pages: the background
//! is transparent, and text and lines are of a gray that is readable on both.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A drawing area.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Text and axes: over 4:1 on white and on near-black.
pub(super) const INK: RGBColor = RGBColor(0x7a, 0x82, 0x8a);

/// One color per cache, in the order of the registry: the first two are the
/// workspace's own. After Okabe and Ito, "Color Universal Design" (2008), with
/// the darkest lightened for dark pages.
const COLORS: [RGBColor; 8] = [
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x3a, 0x8f, 0xd6),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x9a, 0x6f, 0xd0),
    RGBColor(0x8c, 0x8c, 0x8c),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// The number of own caches, which are drawn thicker.
const OWN_CACHES: usize = 2;

/// The color of the cache with this number.
pub(super) fn color(cache: usize) -> RGBColor {
    COLORS[cache % COLORS.len()]
}

/// A line through points.
pub(super) struct Line {
    /// The number of its cache.
    pub(super) cache: usize,
    pub(super) points: Vec<(f64, f64)>,
}

/// The labels of a panel of lines, and its range.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) right: f64,
    pub(super) top: f64,
}

/// The text style of this size.
pub(super) fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// A panel of lines over 0 to `right` and 0 to `top`.
pub(super) fn lines(
    area: &Area<'_>,
    frame: &Frame<'_>,
    lines: Vec<Line>,
) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .caption(frame.title, text(15))
        .x_label_area_size(38)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..frame.right, 0.0..frame.top)?;
    chart
        .configure_mesh()
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.25))
        .axis_style(INK)
        .label_style(text(12))
        .axis_desc_style(text(12))
        .x_desc(frame.x)
        .y_desc(frame.y)
        .draw()?;
    // Own caches last, on top.
    for line in lines.into_iter().rev() {
        let width = if line.cache < OWN_CACHES { 3 } else { 1 };
        let style = color(line.cache).stroke_width(width);
        chart.draw_series(LineSeries::new(line.points, style))?;
    }
    Ok(())
}

/// Names in their colors, from left to right.
pub(super) fn legend(area: &Area<'_>, names: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut left = 20;
    for (cache, name) in names.iter().enumerate() {
        let swatch = Rectangle::new([(left, 8), (left + 14, 18)], color(cache).filled());
        area.draw(&swatch)?;
        area.draw(&Text::new((*name).to_owned(), (left + 20, 6), text(14)))?;
        // About eight pixels a letter: without a font there is no measuring.
        left += 40 + i32::try_from(name.len())? * 8;
    }
    Ok(())
}

/// A bar at the median with a mark at the 99th percentile.
pub(super) struct Bar {
    /// The number of its cache.
    pub(super) cache: usize,
    /// The position of the bar in the group of its cache.
    pub(super) position: usize,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) label: String,
}

/// A panel of horizontal bars on a logarithmic scale of nanoseconds, in groups of
/// `group_size` for each name.
pub(super) fn bars(
    area: &Area<'_>,
    title: &str,
    names: &[&str],
    group_size: usize,
    bars: &[Bar],
) -> Result<(), Box<dyn Error>> {
    let most = bars.iter().map(|bar| bar.p99).fold(100.0, f64::max);
    let rows = names.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .caption(title, text(15))
        .x_label_area_size(38)
        .y_label_area_size(110)
        // The first name on top.
        .build_cartesian_2d((10.0..most * 1.5).log_scale(), rows..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_label_formatter(&|nanos| format!("{nanos:.0}"))
        .y_labels(0)
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.25))
        .axis_style(INK)
        .label_style(text(12))
        .axis_desc_style(text(12))
        .x_desc("ns per operation (bar: p50, mark: p99)")
        .draw()?;
    let height = 0.8 / group_size as f64;
    for bar in bars {
        let top = bar.cache as f64 + 0.1 + bar.position as f64 * height;
        let color = color(bar.cache).mix(1.0 - 0.25 * bar.position as f64);
        let bottom = top + height * 0.9;
        chart.draw_series([Rectangle::new(
            [(10.0, top), (bar.p50, bottom)],
            color.filled(),
        )])?;
        let mark = [(bar.p99, top), (bar.p99, bottom)];
        chart.draw_series(LineSeries::new(mark, color.stroke_width(2)))?;
        let label_position = (bar.p50 * 1.05, (top + bottom) / 2.0);
        let style = text(11).pos(Pos::new(HPos::Left, VPos::Center));
        chart.draw_series([Text::new(bar.label.clone(), label_position, style)])?;
    }
    for (cache, name) in names.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(10.0, cache as f64 + 0.5));
        let (left, top) = area.get_base_pixel();
        let style = text(13).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(
            (*name).to_owned(),
            (x - left - 8, y - top),
            style,
        ))?;
    }
    Ok(())
}
