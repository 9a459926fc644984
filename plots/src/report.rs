use std::fs;
use std::path::{Path, PathBuf};

use results::RunDir;
use results::stats::{Analysis, TrialData};

use crate::error::PlotError;
use crate::figure::{self, Figure, Pooled, cell_labels};
use crate::html::{self, DrawnTrial, Picture};
use crate::{png, svg};

/// What was drawn.
#[derive(Debug, Clone)]
pub struct Report {
    /// The report, one file that needs no other.
    pub html: PathBuf,
    /// Every figure as SVG and as PNG.
    pub figures: Vec<PathBuf>,
}

/// Draws all figures of a run into its `figures` directory, and its `report.html`, from its files and their analysis.
///
/// # Errors
/// When the run's files cannot be read, or a file cannot be written.
pub fn report(run: &RunDir, analysis: &Analysis) -> Result<Report, PlotError> {
    let folder = run.path().join("figures");
    fs::create_dir_all(&folder).map_err(cannot_write(&folder))?;
    let mut drawing = Drawing {
        folder,
        written: Vec::new(),
    };

    let labels = cell_labels(&analysis.cells);
    let mut pooled: Vec<Pooled> = analysis.cells.iter().map(|_| Pooled::default()).collect();
    let mut trials = Vec::new();
    for dir in run.trials()? {
        let data = TrialData::load(&dir)?;
        let id = &data.record.setup.id;
        let Some(cell) = analysis.cells.iter().position(|cell| cell.id == id.cell) else {
            continue;
        };
        if data.record.validity().reason().is_none() {
            pooled[cell].add(&data);
        }
        let title = format!("{}, trial {}", labels[cell].line(), id.number);
        let timeline = figure::timeline(&data, &title, &analysis.limitations)
            .map(|figure| drawing.put(&figure))
            .transpose()?;
        let waits = data
            .waits
            .as_ref()
            .and_then(|graph| {
                let name = format!("waits-{}-{}", id.cell, id.number);
                figure::waits(graph, name, &title)
            })
            .map(|figure| drawing.put(&figure))
            .transpose()?;
        trials.push(DrawnTrial::new(title, &data, [timeline, waits]));
    }
    let overview = [
        figure::throughput(analysis),
        figure::latency_cdf(analysis, &pooled),
        figure::latency_throughput(analysis),
    ];
    let mut pictures = Vec::new();
    for figure in overview.into_iter().flatten() {
        pictures.push(drawing.put(&figure)?);
    }
    let page = html::page(run, analysis, &labels, pictures, trials)?;
    let html = run.path().join("report.html");
    fs::write(&html, page).map_err(cannot_write(&html))?;
    Ok(Report {
        html,
        figures: drawing.written,
    })
}

struct Drawing {
    folder: PathBuf,
    written: Vec<PathBuf>,
}

impl Drawing {
    /// Writes a figure as SVG and PNG.
    fn put(&mut self, figure: &Figure) -> Result<Picture, PlotError> {
        let svg = svg::render(&figure.scene);
        self.write(&format!("{}.svg", figure.name), svg.as_bytes())?;
        let png = png::render(&figure.scene, &figure.name)?;
        self.write(&format!("{}.png", figure.name), &png)?;
        Ok(Picture {
            svg,
            caption: figure.caption.clone(),
        })
    }

    fn write(&mut self, name: &str, content: &[u8]) -> Result<(), PlotError> {
        let path = self.folder.join(name);
        fs::write(&path, content).map_err(cannot_write(&path))?;
        self.written.push(path);
        Ok(())
    }
}

fn cannot_write(path: &Path) -> impl FnOnce(std::io::Error) -> PlotError {
    let path = path.to_owned();
    move |source| PlotError::Write { path, source }
}
