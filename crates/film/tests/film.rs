//! Films from the page's code, with the answers of its development engine (`web/tests/film.test.ts` keeps them).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use glassformer_film::{
    Ask, FilmError, Kind, Painter, Reply, Script, Settings, Size, Wanted, save,
};
use glassformer_server::page_file;
use serde::Deserialize;

#[derive(Deserialize)]
struct Kept {
    json: Option<serde_json::Value>,
    hex: Option<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Answers as they were kept; to what was never asked, that it is not known.
fn answers() -> Ask {
    let file = root().join("crates/film/tests/answers.json");
    let kept: HashMap<String, Kept> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    Box::new(move |path, body| {
        let key = body.map_or_else(|| path.to_owned(), |body| format!("{path} {body}"));
        let Some(answer) = kept.get(&key) else {
            let body = format!(r#"{{"error":"nobody knows {path}"}}"#).into_bytes();
            return Ok(Reply {
                status: 400,
                instance: "kept".to_owned(),
                body,
            });
        };
        let body = match (&answer.json, &answer.hex) {
            (Some(json), _) => json.to_string().into_bytes(),
            (_, Some(hex)) => (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect(),
            _ => Vec::new(),
        };
        Ok(Reply {
            status: 200,
            instance: "kept".to_owned(),
            body,
        })
    })
}

fn wanted(lang: &str) -> Wanted {
    let text = if lang == "zh" {
        "从前有一张床"
    } else {
        "Once upon a time, there"
    };
    Wanted {
        text: Some(text.to_owned()),
        chat: false,
        chapter: Some("attention".to_owned()),
        from: Some("softmax".to_owned()),
        to: Some("softmax".to_owned()),
        lang: lang.to_owned(),
        theme: "light".to_owned(),
        depth: "formula".to_owned(),
        size: Size {
            width: 640,
            height: 360,
        },
        fps: 10.0,
        speed: 2.0,
        layer: Some(1),
        head: Some(1),
        token: None,
        settings: Settings {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            seed: 42,
        },
        bare: false,
    }
}

fn open(wanted: &Wanted) -> Result<Script, FilmError> {
    let script = page_file("film.js").expect("the page is built");
    Script::open(std::str::from_utf8(&script).unwrap(), answers(), wanted)
}

/// The last frame, the stage alone, is the picture with which the page's own test compares its canvas.
#[test]
fn a_frame_is_the_pages_own_picture() {
    for (lang, folder) in [("en", ""), ("zh", "zh/")] {
        let bare = Wanted {
            bare: true,
            size: Size {
                width: 860,
                height: 560,
            },
            ..wanted(lang)
        };
        let script = open(&bare).unwrap();
        let last = script.svg(script.plan().frames - 1).unwrap();
        let picture = root().join(format!("web/tests/pictures/{folder}attention.softmax.svg"));
        assert_eq!(last, fs::read_to_string(picture).unwrap(), "{lang}");
    }
}

#[test]
fn what_is_not_there_is_said() {
    let refused = |change: fn(&mut Wanted)| {
        let mut wanted = wanted("en");
        change(&mut wanted);
        match open(&wanted) {
            Err(FilmError::Refused(message)) => message,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was taken"),
        }
    };
    let chapter = refused(|w| w.chapter = Some("attnetion".to_owned()));
    assert!(
        chapter.starts_with("there is no chapter “attnetion”; there are 0 overview"),
        "{chapter}"
    );
    let step = refused(|w| w.to = Some("99".to_owned()));
    assert!(
        step.starts_with("there is no step of attention “99”"),
        "{step}"
    );
    let head = refused(|w| w.head = Some(3));
    assert_eq!(head, "there is no head 3; the last one is 2");
    let engine = refused(|w| w.text = Some("never asked".to_owned()));
    assert_eq!(engine, "nobody knows /api/trace");
}

#[test]
fn a_script_that_breaks_is_an_error() {
    let broken = Script::open("film = {", answers(), &wanted("en"));
    assert!(matches!(broken, Err(FilmError::Refused(_))));
    let wrong = Script::open("film = { open: async () => 7 }", answers(), &wanted("en"));
    assert!(wrong.is_err());
}

/// The number in a box of an MP4 file that begins with `name`, `skip` bytes after it.
fn in_box(file: &[u8], name: [u8; 4], skip: usize) -> u32 {
    let at = file
        .windows(4)
        .position(|w| w == &name[..])
        .expect("the box");
    let from = at + 4 + skip;
    u32::from_be_bytes(file[from..from + 4].try_into().unwrap())
}

#[test]
fn an_mp4_holds_every_frame() {
    let wanted = wanted("en");
    let script = open(&wanted).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.mp4");
    let mut heard = Vec::new();
    let painter = Painter::new().unwrap();
    let frames = save(&script, &painter, &wanted, &out, |done, of| {
        heard.push((done, of));
    })
    .unwrap();
    assert_eq!(frames, script.plan().frames);
    assert!(frames > 20);
    assert_eq!(heard.last(), Some(&(frames, frames)));
    assert_eq!(heard.len(), frames);
    let file = fs::read(&out).unwrap();
    assert_eq!(&file[4..8], b"ftyp");
    // Version and flags, then the size of all samples, then how many there are.
    assert_eq!(in_box(&file, *b"stsz", 8) as usize, frames);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing is left beside it");
}

/// The first picture of the film, decoded, is the painted one but for what the encoder loses.
#[test]
fn an_mp4_shows_what_was_painted() {
    let wanted = wanted("en");
    let script = open(&wanted).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.mp4");
    let painter = Painter::new().unwrap();
    save(&script, &painter, &wanted, &out, |_, _| ()).unwrap();
    let painted = painter.paint(&script.svg(0).unwrap(), wanted.size).unwrap();
    let shown = first_picture(&fs::read(&out).unwrap(), wanted.size);
    let (mut sum, mut count) = (0.0, 0.0);
    for (a, b) in painted.data().chunks(4).zip(shown.chunks(3)) {
        for channel in 0..3 {
            sum += f64::from(a[channel].abs_diff(b[channel]));
            count += 1.0;
        }
    }
    assert!(sum / count < 3.0, "mean difference {}", sum / count);
}

/// Decodes the first sample: its parameter sets are in `avcC`, its bytes at the beginning of `mdat`.
fn first_picture(file: &[u8], size: Size) -> Vec<u8> {
    use openh264::formats::YUVSource;
    let at = |name: &[u8]| file.windows(4).position(|w| w == name).unwrap() + 4;
    let config = &file[at(b"avcC")..];
    let mut stream = Vec::new();
    let mut unit = |bytes: &[u8]| {
        stream.extend_from_slice(&[0, 0, 0, 1]);
        stream.extend_from_slice(bytes);
    };
    let length = |bytes: &[u8]| usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    let sps = length(&config[6..]);
    unit(&config[8..8 + sps]);
    let pps = length(&config[9 + sps..]);
    unit(&config[11 + sps..11 + sps + pps]);
    let first = in_box(file, *b"stsz", 12) as usize;
    let mut sample = &file[at(b"mdat")..][..first];
    while sample.len() > 4 {
        let length = u32::from_be_bytes(sample[..4].try_into().unwrap()) as usize;
        unit(&sample[4..4 + length]);
        sample = &sample[4 + length..];
    }
    let mut decoder = openh264::decoder::Decoder::new().unwrap();
    let picture = decoder.decode(&stream).unwrap();
    let picture = match picture {
        Some(picture) => picture,
        None => decoder.flush_remaining().unwrap().remove(0),
    };
    assert_eq!(
        picture.dimensions(),
        (size.width as usize, size.height as usize)
    );
    let mut pixels = vec![0; picture.rgb8_len()];
    picture.write_rgb8(&mut pixels);
    pixels
}

#[test]
fn an_animated_picture_lasts_as_long_as_the_film() {
    let wanted = wanted("en");
    let script = open(&wanted).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.apng");
    let painter = Painter::new().unwrap();
    save(&script, &painter, &wanted, &out, |_, _| ()).unwrap();
    let decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(&out).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let frames = reader.info().animation_control.unwrap().num_frames;
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let mut milliseconds = 0;
    let mut canvas: Vec<u8> = Vec::new();
    for _ in 0..frames {
        let info = reader.next_frame(&mut pixels).unwrap();
        let control = *reader.info().frame_control().unwrap();
        milliseconds += u32::from(control.delay_num);
        if canvas.is_empty() {
            canvas = pixels[..info.buffer_size()].to_vec();
            continue;
        }
        for (i, pixel) in pixels[..info.buffer_size()].chunks(4).enumerate() {
            let (x, y) = (i as u32 % control.width, i as u32 / control.width);
            let to =
                ((y + control.y_offset) * wanted.size.width + x + control.x_offset) as usize * 4;
            if pixel[3] > 0 {
                canvas[to..to + 4].copy_from_slice(pixel);
            }
        }
    }
    let length = script.plan().frames as u32 * 100;
    assert!(
        milliseconds.abs_diff(length) <= frames,
        "{milliseconds} of {length}"
    );
    // What was left out of each frame was there before: at the end the whole last picture stands.
    let last = script.svg(script.plan().frames - 1).unwrap();
    assert_eq!(canvas, painter.paint(&last, wanted.size).unwrap().data());
}

#[test]
fn stills_and_series_are_told_by_the_name() {
    let wanted = wanted("zh");
    let script = open(&wanted).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let painter = Painter::new().unwrap();
    let save = |name: &str| {
        let path = folder.path().join(name);
        let frames = save(&script, &painter, &wanted, &path, |_, _| ()).unwrap();
        (frames, path)
    };
    let last = script.svg(script.plan().frames - 1).unwrap();
    let (frames, svg) = save("a.svg");
    assert_eq!((frames, fs::read_to_string(svg).unwrap()), (1, last));
    let (frames, png) = save("a.PNG");
    let header = fs::read(png).unwrap();
    assert_eq!(frames, 1);
    assert_eq!(&header[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(u32::from_be_bytes(header[16..20].try_into().unwrap()), 640);
    let (frames, pattern) = save("f-%04d.png");
    assert!(frames > 20 && !pattern.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2 + frames);
    assert!(folder.path().join(format!("f-{frames:04}.png")).exists());
    assert!(matches!(
        Kind::of(Path::new("a.gif")),
        Err(FilmError::UnknownKind(_))
    ));
}

#[test]
fn files_that_cannot_be_are_refused() {
    let wanted = wanted("en");
    let script = open(&wanted).unwrap();
    let painter = Painter::new().unwrap();
    let nowhere = Path::new("/no/such/folder/a.mp4");
    let error = save(&script, &painter, &wanted, nowhere, |_, _| {
        panic!("it was begun")
    });
    let message = error.unwrap_err().to_string();
    assert!(
        message.starts_with("/no/such/folder/a.mp4 cannot be written"),
        "{message}"
    );
    let folder = tempfile::tempdir().unwrap();
    let odd = Wanted {
        size: Size {
            width: 641,
            height: 360,
        },
        ..wanted
    };
    let error = save(
        &script,
        &painter,
        &odd,
        &folder.path().join("a.mp4"),
        |_, _| (),
    );
    assert!(error.unwrap_err().to_string().contains("even numbers"));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left of it"
    );
}

/// Fonts of the page are inside the program: letters and formulas have ink, whatever the system has.
#[test]
fn letters_and_formulas_have_ink() {
    let painter = Painter::new().unwrap();
    for (font, text) in [
        ("Inter Variable", "Softmax"),
        ("JetBrains Mono Variable", "0.12"),
        ("KaTeX_Math", "q"),
        ("KaTeX_Size2", "∑"),
        ("KaTeX_AMS", "R"),
    ] {
        let style = if font == "KaTeX_Math" {
            "italic"
        } else {
            "normal"
        };
        let ink = |weight: u32| -> f64 {
            let svg = format!(
                r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 80"><rect width="200" height="80" fill="#fff"/><text x="10" y="50" font-family="{font}" font-style="{style}" font-size="30" font-weight="{weight}">{text}</text></svg>"##
            );
            let size = Size {
                width: 200,
                height: 80,
            };
            let pixels = painter.paint(&svg, size).unwrap();
            pixels
                .data()
                .chunks(4)
                .map(|p| 255.0 - f64::from(p[0]))
                .sum()
        };
        assert!(ink(400) > 2000.0, "{font} has no ink");
        if font.ends_with("Variable") {
            assert!(ink(680) > ink(600), "{font} knows weights between hundreds");
            assert!(ink(600) > ink(400));
        }
    }
    assert!(painter.can_write('q'));
    assert!(!painter.can_write('\u{10fffd}'));
}
