//! Expressions, by NumPy's precedence (Python's): `or`, `and`, `not`, comparisons, `|`, `^`, `&`, shifts, `+ -`,
//! `* / // % @`, signs, `**`, calls and indices.

use super::{DEEPEST_TREE, Parser};
use crate::ast::{Argument, Expr, ExprKind, IndexItem};
use crate::error::Fault;
use crate::text::Span;
use crate::token::Kind;

/// Operators on the left of their operands' right ends, loosest first.
const LEVELS: [&[&str]; 6] = [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "/", "//", "%", "@"]];

const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

impl Parser {
    /// `a, b, …` as a tuple, or one expression.
    pub(super) fn expressions(&mut self) -> Result<Expr, Fault> {
        let first = self.expression()?;
        if !self.is(",") {
            return Ok(first);
        }
        let start = first.span;
        let mut items = vec![first];
        while self.take(",") {
            if matches!(self.peek(), Kind::Newline | Kind::End | Kind::Sign(")" | "=" | ":")) {
                break;
            }
            items.push(self.expression()?);
        }
        self.made(ExprKind::Tuple(items), start.to(self.before()))
    }

    pub(super) fn expression(&mut self) -> Result<Expr, Fault> {
        self.deeper(|parser| {
            let then = parser.or()?;
            if !parser.take_word("if") {
                return Ok(then);
            }
            let condition = Box::new(parser.or()?);
            if !parser.take_word("else") {
                return Err(parser.unexpected("`else`"));
            }
            let otherwise = Box::new(parser.expression()?);
            let span = then.span.to(otherwise.span);
            parser.made(ExprKind::Choice { then: Box::new(then), condition, otherwise }, span)
        })
    }

    fn or(&mut self) -> Result<Expr, Fault> {
        let mut left = self.and()?;
        while self.take_word("or") {
            let right = self.and()?;
            left = self.binary("or", left, right)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Fault> {
        let mut left = self.not()?;
        while self.take_word("and") {
            let right = self.not()?;
            left = self.binary("and", left, right)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, Fault> {
        if !self.is_word("not") {
            return self.comparison();
        }
        let start = self.next().span;
        let operand = self.deeper(Parser::not)?;
        let span = start.to(operand.span);
        self.made(ExprKind::Unary("not", Box::new(operand)), span)
    }

    fn comparison(&mut self) -> Result<Expr, Fault> {
        let first = self.level(0)?;
        let mut rest = Vec::new();
        while let Some(op) = COMPARISONS.iter().find(|op| self.is(op)) {
            self.next();
            rest.push((*op, self.level(0)?));
        }
        let Some((_, last)) = rest.last() else { return Ok(first) };
        let span = first.span.to(last.span);
        self.made(ExprKind::Compare(Box::new(first), rest), span)
    }

    /// Operators of [`LEVELS`] from this level on, from the left.
    fn level(&mut self, least: usize) -> Result<Expr, Fault> {
        // One loop for all levels: a call for each would make the stack deep.
        let mut left = self.signed()?;
        while let Some((level, op)) = self.operator().filter(|(level, _)| *level >= least) {
            self.next();
            let right = self.level(level + 1)?;
            left = self.binary(op, left, right)?;
        }
        Ok(left)
    }

    /// The operator of [`LEVELS`] that comes next, and its level.
    fn operator(&self) -> Option<(usize, &'static str)> {
        let Kind::Sign(sign) = self.peek() else { return None };
        let level = LEVELS.iter().position(|level| level.contains(sign))?;
        if self.updates() { None } else { Some((level, sign)) }
    }

    /// True at the operator of `x += y`.
    fn updates(&self) -> bool {
        matches!(self.peek_at(1), Kind::Sign("="))
            && self.tokens[self.at].span.end == self.tokens[self.at + 1].span.start
    }

    fn signed(&mut self) -> Result<Expr, Fault> {
        let Some(op) = ["-", "+", "~"].into_iter().find(|op| self.is(op)) else { return self.power() };
        let start = self.next().span;
        let operand = self.deeper(Parser::signed)?;
        let span = start.to(operand.span);
        self.made(ExprKind::Unary(op, Box::new(operand)), span)
    }

    fn power(&mut self) -> Result<Expr, Fault> {
        let base = self.postfix()?;
        if !self.is("**") || self.updates() {
            return Ok(base);
        }
        self.next();
        let exponent = self.deeper(Parser::signed)?;
        self.binary("**", base, exponent)
    }

    fn postfix(&mut self) -> Result<Expr, Fault> {
        let mut value = self.atom()?;
        loop {
            let start = value.span;
            let kind = match self.peek() {
                Kind::Sign(".") => {
                    self.next();
                    let (name, _) = self.expect_name("the name of a method or property")?;
                    ExprKind::Attribute(Box::new(value), name)
                }
                Kind::Sign("(") => {
                    self.next();
                    ExprKind::Call(Box::new(value), self.arguments()?)
                }
                Kind::Sign("[") => {
                    self.next();
                    ExprKind::Index(Box::new(value), self.indices()?)
                }
                _ => return Ok(value),
            };
            value = self.made(kind, start.to(self.before()))?;
        }
    }

    fn arguments(&mut self) -> Result<Vec<Argument>, Fault> {
        let mut arguments: Vec<Argument> = Vec::new();
        while !self.is(")") {
            let named = matches!((self.peek(), self.peek_at(1)), (Kind::Name(_), Kind::Sign("=")));
            let name = if named { Some(self.expect_name("a name")?) } else { None };
            if named {
                self.next();
            } else if arguments.last().is_some_and(|a| a.name.is_some()) {
                return Err(Fault::new("an argument without a name follows one with a name", self.span())
                    .help("arguments by position come first"));
            }
            arguments.push(Argument { name, value: self.expression()? });
            if !self.take(",") {
                break;
            }
        }
        self.expect(")", "or `,` behind an argument")?;
        Ok(arguments)
    }

    fn indices(&mut self) -> Result<Vec<IndexItem>, Fault> {
        let mut items = Vec::new();
        while !self.is("]") {
            items.push(self.index_item()?);
            if !self.take(",") {
                break;
            }
        }
        let close = self.expect("]", "or `,` behind an index")?;
        if items.is_empty() {
            return Err(Fault::new("an index was expected", close));
        }
        Ok(items)
    }

    fn index_item(&mut self) -> Result<IndexItem, Fault> {
        let start = self.span();
        let ends = |p: &Parser| matches!(p.peek(), Kind::Sign(":" | "," | "]"));
        let first = if ends(self) { None } else { Some(self.expression()?) };
        if !self.take(":") {
            return first.map(IndexItem::At).ok_or_else(|| self.unexpected("an index"));
        }
        let stop = if ends(self) { None } else { Some(self.expression()?) };
        let step = if self.take(":") && !ends(self) { Some(self.expression()?) } else { None };
        Ok(IndexItem::Slice { start: first, stop, step, span: start.to(self.before()) })
    }

    fn atom(&mut self) -> Result<Expr, Fault> {
        let span = self.span();
        let kind = match self.peek().clone() {
            Kind::Name(name) => ExprKind::Name(name),
            Kind::Int(i) => ExprKind::Int(i),
            Kind::Float(x) => ExprKind::Float(x),
            Kind::Str(text) => ExprKind::Str(text),
            Kind::Keyword("True") => ExprKind::Bool(true),
            Kind::Keyword("False") => ExprKind::Bool(false),
            Kind::Keyword("None") => ExprKind::None,
            Kind::Sign("...") => ExprKind::Ellipsis,
            Kind::Sign("(") => return self.parenthesised(),
            Kind::Sign("[") => {
                self.next();
                let items = self.items("]")?;
                self.expect("]", "or `,` behind an item")?;
                return self.made(ExprKind::List(items), span.to(self.before()));
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.next();
        self.made(kind, span)
    }

    fn parenthesised(&mut self) -> Result<Expr, Fault> {
        let start = self.next().span;
        if self.take(")") {
            return self.made(ExprKind::Tuple(Vec::new()), start.to(self.before()));
        }
        let mut inner = self.expressions()?;
        self.expect(")", "behind the expression")?;
        inner.span = start.to(self.before());
        Ok(inner)
    }

    fn items(&mut self, close: &str) -> Result<Vec<Expr>, Fault> {
        let mut items = Vec::new();
        while !self.is(close) {
            items.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        Ok(items)
    }

    fn binary(&self, op: &'static str, left: Expr, right: Expr) -> Result<Expr, Fault> {
        let span = left.span.to(right.span);
        self.made(ExprKind::Binary(op, Box::new(left), Box::new(right)), span)
    }

    /// An expression, if it is not nested too deep.
    fn made(&self, kind: ExprKind, span: Span) -> Result<Expr, Fault> {
        let expr = Expr::new(kind, span);
        if usize::from(expr.depth) > DEEPEST_TREE {
            return Err(Fault::new(format!("an expression of more than {DEEPEST_TREE} levels"), span)
                .help("give an inner part a name of its own"));
        }
        Ok(expr)
    }
}
