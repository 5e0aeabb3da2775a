//! `cargo xtask loss-curve RUN`: the losses of a training run as an SVG, for a model's card.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Draw the training and validation losses of a run's metrics.jsonl.
#[derive(clap::Args)]
pub(crate) struct Curve {
    /// The run's folder.
    run: PathBuf,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 48.0;
const BOTTOM: f64 = 36.0;

struct Point {
    step: f64,
    train: f64,
    val: Option<f64>,
}

impl Curve {
    pub(crate) fn run(&self) -> Result<()> {
        let points = read(&self.run.join("metrics.jsonl"))?;
        fs::write(&self.out, draw(&points))
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        println!("wrote {}", self.out.display());
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<Point>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut points = Vec::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        points.push(Point {
            step: value["step"].as_f64().context("a line without step")?,
            train: value["train_loss"]
                .as_f64()
                .context("a line without train_loss")?,
            val: value["val_loss"].as_f64(),
        });
    }
    ensure!(
        points.len() > 1,
        "{} has fewer than two lines",
        path.display()
    );
    Ok(points)
}

fn draw(points: &[Point]) -> String {
    let last = points[points.len() - 1].step;
    let top = points.iter().map(|p| p.train).fold(0.0, f64::max).ceil();
    let x = |step: f64| LEFT + step / last * (WIDTH - LEFT - 16.0);
    let y = |loss: f64| HEIGHT - BOTTOM - loss / top * (HEIGHT - BOTTOM - 16.0);
    let line = |values: &[(f64, f64)]| -> String {
        values
            .iter()
            .map(|&(step, loss)| format!("{:.1},{:.1} ", x(step), y(loss)))
            .collect()
    };
    let train: Vec<(f64, f64)> = points.iter().map(|p| (p.step, p.train)).collect();
    let val: Vec<(f64, f64)> = points
        .iter()
        .filter_map(|p| Some((p.step, p.val?)))
        .collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for loss in 0..=top as u32 {
        let at = y(f64::from(loss));
        svg += &format!(
            "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#e2e2ea\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{loss}</text>\n",
            WIDTH - 16.0,
            LEFT - 6.0,
            at + 4.0
        );
    }
    for quarter in 0..=4 {
        let step = last * f64::from(quarter) / 4.0;
        svg += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{step:.0}</text>\n",
            x(step),
            HEIGHT - 16.0
        );
    }
    svg += &format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#9db4d8\"/>\n",
        line(&train)
    );
    svg += &format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#c2410c\" stroke-width=\"2\"/>\n",
        line(&val)
    );
    svg += &format!(
        "<text x=\"{0}\" y=\"28\" text-anchor=\"end\" fill=\"#5577aa\">training loss (nats per token)</text>\n\
         <text x=\"{0}\" y=\"44\" text-anchor=\"end\" fill=\"#c2410c\">validation loss</text>\n</svg>\n",
        WIDTH - 20.0
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::{Point, draw};

    #[test]
    fn lower_losses_stand_lower() {
        let point = |step, train, val| Point { step, train, val };
        let svg = draw(&[
            point(0.0, 8.0, None),
            point(50.0, 4.0, Some(5.0)),
            point(100.0, 2.0, Some(3.0)),
        ]);
        let line = svg.lines().find(|line| line.contains("#9db4d8")).unwrap();
        let ys: Vec<f64> = line
            .split('"')
            .nth(1)
            .unwrap()
            .split_whitespace()
            .map(|pair| pair.split_once(',').unwrap().1.parse().unwrap())
            .collect();
        assert!(ys[0] < ys[1] && ys[1] < ys[2], "{ys:?}");
    }
}
