//! Which module a step belongs to, where only the names of parameters tell of modules.

/// The modules in the name of a parameter: `h.0.attn.weight` is one of `h.0`, `attn`.
pub(crate) fn modules_in(name: &str) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    for piece in name.split('.') {
        match path.last_mut() {
            Some(last) if piece.parse::<usize>().is_ok() => *last = format!("{last}.{piece}"),
            _ => path.push(piece.to_owned()),
        }
    }
    path.pop();
    path
}

/// The modules that both paths have.
pub(crate) fn common(a: &[String], b: &[String]) -> Vec<String> {
    a.iter().zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a.clone()).collect()
}

/// The modules of steps: of some they are known, the others lie between what they are made of and what is made of them.
/// `made` has the operands of each step that are steps themselves, by their places, which are earlier ones.
pub(crate) fn between(known: &[Option<Vec<String>>], made: &[Vec<usize>]) -> Vec<Vec<String>> {
    let mut first_user = vec![None; made.len()];
    for (i, operands) in made.iter().enumerate().rev() {
        operands.iter().for_each(|&j| first_user[j] = Some(i));
    }
    // The nearest known module behind every step.
    let mut ahead: Vec<Vec<String>> = vec![Vec::new(); made.len()];
    for i in (0..made.len()).rev() {
        ahead[i] = match (&known[i], first_user[i]) {
            (Some(path), _) => path.clone(),
            (None, Some(user)) => ahead[user].clone(),
            (None, None) => Vec::new(),
        };
    }
    let mut paths: Vec<Vec<String>> = Vec::with_capacity(made.len());
    for (i, made) in made.iter().enumerate() {
        let path = match &known[i] {
            Some(path) => path.clone(),
            None => {
                let behind = made.iter().max().map_or(Vec::new(), |&j| paths[j].clone());
                let between = first_user[i].map_or(Vec::new(), |user| common(&behind, &ahead[user]));
                let around = made.iter().map(|&j| paths[j].clone()).reduce(|a, b| common(&a, &b)).unwrap_or_default();
                if made.len() > 1 && around.len() > between.len() { around } else { between }
            }
        };
        paths.push(path);
    }
    paths
}
