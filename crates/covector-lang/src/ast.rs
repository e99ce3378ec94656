//! The program as a tree.

use crate::text::Span;

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
    /// The number of expressions on the longest way down into it, itself included.
    pub depth: u16,
}

impl Expr {
    /// An expression at this place.
    pub fn new(kind: ExprKind, span: Span) -> Expr {
        let depth = kind.parts().map(|e| e.depth).max().unwrap_or(0).saturating_add(1);
        Expr { kind, span, depth }
    }
}

impl ExprKind {
    /// The expressions directly inside.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Expr> {
        let mut parts: Vec<&Expr> = Vec::new();
        match self {
            ExprKind::Name(_) | ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) => {}
            ExprKind::Bool(_) | ExprKind::None | ExprKind::Ellipsis => {}
            ExprKind::Unary(_, x) | ExprKind::Attribute(x, _) => parts.push(x),
            ExprKind::Binary(_, x, y) => parts.extend([&**x, &**y]),
            ExprKind::Compare(x, rest) => parts.extend(std::iter::once(&**x).chain(rest.iter().map(|(_, y)| y))),
            ExprKind::Choice { then, condition, otherwise } => parts.extend([&**then, &**condition, &**otherwise]),
            ExprKind::Call(f, arguments) => {
                parts.extend(std::iter::once(&**f).chain(arguments.iter().map(|a| &a.value)));
            }
            ExprKind::Index(x, items) => {
                parts.push(x);
                for item in items {
                    match item {
                        IndexItem::At(i) => parts.push(i),
                        IndexItem::Slice { start, stop, step, .. } => {
                            parts.extend([start, stop, step].into_iter().flatten());
                        }
                    }
                }
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => parts.extend(items),
        }
        parts.into_iter()
    }
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A name.
    Name(String),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Str(String),
    /// True or false.
    Bool(bool),
    /// Nothing.
    None,
    /// `...`
    Ellipsis,
    /// `-x`, `+x`, `~x`, `not x`
    Unary(&'static str, Box<Expr>),
    /// `x + y` and the like
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `a < b <= c`: the first operand, and comparisons with the next.
    Compare(Box<Expr>, Vec<(&'static str, Expr)>),
    /// `a if condition else b`
    Choice {
        /// Taken if the condition holds.
        then: Box<Expr>,
        /// A truth value.
        condition: Box<Expr>,
        /// Taken otherwise.
        otherwise: Box<Expr>,
    },
    /// `x.name`
    Attribute(Box<Expr>, String),
    /// `f(a, b, key=c)`
    Call(Box<Expr>, Vec<Argument>),
    /// `x[i, j:k]`
    Index(Box<Expr>, Vec<IndexItem>),
    /// `(a, b)`
    Tuple(Vec<Expr>),
    /// `[a, b]`
    List(Vec<Expr>),
}

/// An argument of a call.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its name, if it was given by name.
    pub name: Option<(String, Span)>,
    /// Its value.
    pub value: Expr,
}

/// One item between the brackets of an index.
#[derive(Clone, Debug)]
pub enum IndexItem {
    /// A value: an integer, a tensor of integers, `...`, `None`.
    At(Expr),
    /// `start:stop:step`
    Slice {
        /// The first.
        start: Option<Expr>,
        /// The end, not included.
        stop: Option<Expr>,
        /// The distance.
        step: Option<Expr>,
        /// Where it stands.
        span: Span,
    },
}

/// A statement and where it stands.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// Where it stands.
    pub span: Span,
}

/// The largest expression that stands at exactly this place.
pub fn find(program: &[Stmt], span: Span) -> Option<&Expr> {
    let inside = |outer: Span| outer.start <= span.start && span.end <= outer.end;
    let mut blocks: Vec<&Stmt> = program.iter().collect();
    while let Some(stmt) = blocks.pop() {
        if !inside(stmt.span) {
            continue;
        }
        let mut open = stmt.parts(&mut blocks);
        while let Some(expr) = open.pop() {
            if expr.span == span {
                return Some(expr);
            }
            open.extend(expr.kind.parts().filter(|e| inside(e.span)));
        }
    }
    None
}

/// The outermost expressions of all statements.
pub(crate) fn expressions(program: &[Stmt]) -> Vec<&Expr> {
    let (mut blocks, mut found): (Vec<&Stmt>, Vec<&Expr>) = (program.iter().collect(), Vec::new());
    while let Some(stmt) = blocks.pop() {
        found.extend(stmt.parts(&mut blocks));
    }
    found
}

impl Stmt {
    /// The expressions directly inside; the statements are put on the list.
    fn parts<'a>(&'a self, blocks: &mut Vec<&'a Stmt>) -> Vec<&'a Expr> {
        match &self.kind {
            StmtKind::Declare { dims, .. } => dims.iter().collect(),
            StmtKind::Assign { value, .. } | StmtKind::Update { value, .. } | StmtKind::Value(value) => vec![value],
            StmtKind::Def(def) => {
                blocks.extend(&def.body);
                def.params.iter().filter_map(|p| p.2.as_ref()).collect()
            }
            StmtKind::For { over, body, .. } => {
                blocks.extend(body);
                vec![over]
            }
            StmtKind::If { branches, otherwise } => {
                blocks.extend(branches.iter().flat_map(|(_, body)| body).chain(otherwise));
                branches.iter().map(|(condition, _)| condition).collect()
            }
            StmtKind::Return(value) => value.iter().collect(),
            StmtKind::Pass => Vec::new(),
        }
    }
}

/// What a statement is.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// `X: f32[B, T]`, `param W: f32[d, d]`
    Declare {
        /// The name.
        name: String,
        /// Where the name stands.
        name_span: Span,
        /// True for a parameter, which is learnt; false for an input.
        param: bool,
        /// The dtype's name and where it stands.
        dtype: (String, Span),
        /// The sizes.
        dims: Vec<Expr>,
        /// The whole type.
        type_span: Span,
    },
    /// `a, b = value`
    Assign {
        /// The names.
        names: Vec<(String, Span)>,
        /// The value.
        value: Expr,
    },
    /// `x += value`
    Update {
        /// The name.
        name: (String, Span),
        /// The operator without its `=`.
        op: &'static str,
        /// The value.
        value: Expr,
    },
    /// A value by itself.
    Value(Expr),
    /// `def f(a, b=1): …`
    Def(std::sync::Arc<Def>),
    /// `for a, b in values: …`
    For {
        /// The names.
        names: Vec<(String, Span)>,
        /// What they run over.
        over: Expr,
        /// The body.
        body: Vec<Stmt>,
    },
    /// `if …: … elif …: … else: …`
    If {
        /// Conditions and their bodies.
        branches: Vec<(Expr, Vec<Stmt>)>,
        /// The body if none holds.
        otherwise: Vec<Stmt>,
    },
    /// `return value`
    Return(Option<Expr>),
    /// `pass`
    Pass,
}

/// A function.
#[derive(Debug)]
pub struct Def {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub name_span: Span,
    /// Its parameters with their defaults.
    pub params: Vec<(String, Span, Option<Expr>)>,
    /// Its body.
    pub body: Vec<Stmt>,
}
