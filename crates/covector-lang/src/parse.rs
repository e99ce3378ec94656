//! From tokens to a tree.

mod expr;

use std::sync::Arc;

use crate::ast::{Def, Expr, ExprKind, Stmt, StmtKind};
use crate::error::Fault;
use crate::text::Span;
use crate::token::{Kind, Token, tokens};

/// How deep expressions and blocks may be nested.
const DEEPEST: usize = 60;

/// How deep the tree of an expression may be: `a + b + c + …` is as deep as it is long.
const DEEPEST_TREE: usize = 200;

/// The statements of a text.
///
/// # Errors
/// Names the first place where the text is no program.
pub fn parse(text: &str) -> Result<Vec<Stmt>, Fault> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let mut program = Vec::new();
    while parser.peek() != &Kind::End {
        if parser.peek() == &Kind::Indent {
            return Err(Fault::new("the line is indented, but no block was opened", parser.span())
                .help("blocks follow `def`, `for` and `if`"));
        }
        program.push(parser.statement()?);
    }
    Ok(program)
}

/// The one expression of a text.
///
/// # Errors
/// Names the first place where the text is no expression.
pub fn parse_expression(text: &str) -> Result<Expr, Fault> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let value = parser.expressions()?;
    parser.expect_newline()?;
    match parser.peek() {
        Kind::End => Ok(value),
        other => {
            Err(Fault::new(format!("one expression was expected, {} follows it", other.describe()), parser.span()))
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    fn peek_at(&self, ahead: usize) -> &Kind {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].kind
    }

    fn span(&self) -> Span {
        self.tokens[self.at].span
    }

    /// Where the last token stood.
    fn before(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(s) if *s == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Kind::Keyword(k) if *k == word)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.next();
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, sign: &str, after: &str) -> Result<Span, Fault> {
        if self.is(sign) {
            return Ok(self.next().span);
        }
        Err(self.unexpected(&format!("`{sign}` {after}")))
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let fault = Fault::new(format!("{wanted} was expected, not {}", self.peek().describe()), self.span());
        match self.peek() {
            Kind::Keyword("param") => fault.help("`param` begins a declaration: `param W: f32[d, k]`"),
            Kind::Keyword(word) => fault.help(format!("`{word}` is a word of the language, no name")),
            _ => fault,
        }
    }

    fn expect_name(&mut self, what: &str) -> Result<(String, Span), Fault> {
        match self.peek().clone() {
            Kind::Name(name) => Ok((name, self.next().span)),
            _ => Err(self.unexpected(what)),
        }
    }

    fn expect_newline(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Kind::Newline => {
                self.next();
                Ok(())
            }
            Kind::End | Kind::Dedent => Ok(()),
            Kind::Sign(";") => {
                self.next();
                if self.peek() == &Kind::Newline {
                    self.next();
                }
                Ok(())
            }
            _ => Err(self.unexpected("the end of the line")),
        }
    }

    /// Runs `parse` one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::new(format!("nested more than {DEEPEST} levels deep"), self.span())
                .help("give an inner part a name of its own"));
        }
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn statement(&mut self) -> Result<Stmt, Fault> {
        let start = self.span();
        let kind = match self.peek() {
            Kind::Keyword("def") => self.def()?,
            Kind::Keyword("for") => self.for_loop()?,
            Kind::Keyword("if") => self.if_else()?,
            _ => {
                let kind = self.simple()?;
                let span = start.to(self.before());
                self.expect_newline()?;
                return Ok(Stmt { kind, span });
            }
        };
        Ok(Stmt { kind, span: start.to(self.before()) })
    }

    /// A statement on one line.
    fn simple(&mut self) -> Result<StmtKind, Fault> {
        if self.take_word("pass") {
            return Ok(StmtKind::Pass);
        }
        if self.take_word("return") {
            let empty = matches!(self.peek(), Kind::Newline | Kind::End | Kind::Dedent);
            return Ok(StmtKind::Return(if empty { None } else { Some(self.expressions()?) }));
        }
        let param = self.is_word("param");
        if param || matches!((self.peek(), self.peek_at(1)), (Kind::Name(_), Kind::Sign(":"))) {
            return self.declaration();
        }
        let value = self.expressions()?;
        if self.take("=") {
            let names = targets(&value)?;
            let value = self.expressions()?;
            if self.is("=") {
                return Err(Fault::new("one `=` to a statement", self.span()));
            }
            return Ok(StmtKind::Assign { names, value });
        }
        // `x += y`: the operator, and right behind it the `=` of an assignment.
        for op in ["+", "-", "*", "/", "@", "**", "//", "%"] {
            if self.is(op) && matches!(self.peek_at(1), Kind::Sign("=")) {
                let name = targets(&value)?.swap_remove(0);
                self.next();
                self.next();
                let value = self.expressions()?;
                return Ok(StmtKind::Update { name, op, value });
            }
        }
        Ok(StmtKind::Value(value))
    }

    /// `X: f32[B, T]`, `param W: f32[d, k]`
    fn declaration(&mut self) -> Result<StmtKind, Fault> {
        let param = self.take_word("param");
        let (name, name_span) = self.expect_name("the name of a parameter")?;
        self.expect(":", "and a type behind the name")?;
        let dtype = self.expect_name("a dtype such as `f32`")?;
        let mut dims = Vec::new();
        let open = self.expect("[", "behind the dtype");
        let open = open.map_err(|f| f.note("sizes stand in brackets: `f32[B, T]`; `f32[]` is a scalar"))?;
        while !self.is("]") {
            dims.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        let close = self.expect("]", "behind the sizes")?;
        let type_span = dtype.1.to(open).to(close);
        Ok(StmtKind::Declare { name, name_span, param, dtype, dims, type_span })
    }

    fn def(&mut self) -> Result<StmtKind, Fault> {
        self.next();
        let (name, name_span) = self.expect_name("the name of the function")?;
        self.expect("(", "behind the name of the function")?;
        let mut params: Vec<(String, Span, Option<Expr>)> = Vec::new();
        while !self.is(")") {
            let (param, span) = self.expect_name("the name of a parameter")?;
            if let Some((_, first, _)) = params.iter().find(|p| p.0 == param) {
                return Err(Fault::new(format!("two parameters are called `{param}`"), span).label(*first, "the first"));
            }
            let default = if self.take("=") { Some(self.expression()?) } else { None };
            if let (None, Some((.., Some(_)))) = (&default, params.last()) {
                return Err(Fault::new(format!("`{param}` needs a default"), span)
                    .help("parameters behind one with a default have one too"));
            }
            params.push((param, span, default));
            if !self.take(",") {
                break;
            }
        }
        self.expect(")", "behind the parameters")?;
        let body = self.block()?;
        Ok(StmtKind::Def(Arc::new(Def { name, name_span, params, body })))
    }

    fn for_loop(&mut self) -> Result<StmtKind, Fault> {
        self.next();
        let mut names = vec![self.expect_name("a name")?];
        while self.take(",") {
            names.push(self.expect_name("a name")?);
        }
        if !self.take_word("in") {
            return Err(self.unexpected("`in`"));
        }
        let over = self.expressions()?;
        let body = self.block()?;
        Ok(StmtKind::For { names, over, body })
    }

    fn if_else(&mut self) -> Result<StmtKind, Fault> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        while self.is_word("if") && branches.is_empty() || self.is_word("elif") {
            self.next();
            let condition = self.expression()?;
            branches.push((condition, self.block()?));
        }
        if self.take_word("else") {
            otherwise = self.block()?;
        }
        Ok(StmtKind::If { branches, otherwise })
    }

    /// `: statement`, or `:` and indented lines.
    fn block(&mut self) -> Result<Vec<Stmt>, Fault> {
        let colon = self.expect(":", "before the body")?;
        if self.peek() != &Kind::Newline {
            let start = self.span();
            let kind = self.simple()?;
            let span = start.to(self.before());
            self.expect_newline()?;
            return Ok(vec![Stmt { kind, span }]);
        }
        self.next();
        if self.peek() != &Kind::Indent {
            return Err(Fault::new("a body was expected", colon).help("indent the lines that belong to it"));
        }
        self.next();
        self.deeper(|parser| {
            let mut body = Vec::new();
            while !matches!(parser.peek(), Kind::Dedent | Kind::End) {
                body.push(parser.statement()?);
                if parser.peek() == &Kind::Indent {
                    return Err(Fault::new("the line is indented, but no block was opened", parser.span()));
                }
            }
            parser.next();
            Ok(body)
        })
    }
}

/// The names on the left of an `=`.
fn targets(value: &Expr) -> Result<Vec<(String, Span)>, Fault> {
    let name = |e: &Expr| match &e.kind {
        ExprKind::Name(name) => Ok((name.clone(), e.span)),
        ExprKind::Index(..) => Err(Fault::new("tensors do not change: an index cannot be assigned to", e.span)
            .help("`scatter_set(x, indices, updates, axis)` is a changed copy")),
        _ => Err(Fault::new("a name was expected on the left of `=`", e.span)),
    };
    match &value.kind {
        ExprKind::Tuple(items) if !items.is_empty() => items.iter().map(name).collect(),
        _ => Ok(vec![name(value)?]),
    }
}
