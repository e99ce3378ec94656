//! Indices: integers, slices, `...`, `None`, and one tensor of indices or truth values.

use covector::{Index, Indices, Tensor, registry};

use super::{Interpreter, Run};
use crate::ast::{Expr, IndexItem};
use crate::error::Fault;
use crate::text::Span;
use crate::value::{Int, Value};

impl Interpreter<'_> {
    pub(super) fn index(&mut self, (of, value): (Span, Value), items: &[IndexItem], span: Span) -> Run<Value> {
        match value {
            Value::Tensor(x) => self.index_tensor((of, x), items, span),
            Value::List(list) => self.index_list(&list, items, span),
            other => {
                let fault = Fault::new("only tensors and lists have an index", span);
                Err(fault.label(of, format!("this is {}", other.describe())).into())
            }
        }
    }

    fn index_tensor(&mut self, (of, x): (Span, Tensor), items: &[IndexItem], span: Span) -> Run<Value> {
        let mut indices = Indices::default();
        let mut tensor: Option<(usize, Span, Tensor)> = None;
        for (i, item) in items.iter().enumerate() {
            let index = match item {
                IndexItem::Slice { start, stop, step, .. } => self.span_of([start, stop, step])?,
                IndexItem::At(e) => match self.expr(e)? {
                    Value::Int(n) => Index::At(n.value),
                    Value::Ellipsis => Index::Ellipsis,
                    Value::None => Index::New,
                    Value::Tensor(t) if tensor.is_none() => {
                        tensor = Some((i, e.span, t));
                        Index::from(..)
                    }
                    other => {
                        let fault = Fault::new("this is no index", e.span);
                        return Err(fault.here(other.describe()).help("one tensor of indices is taken").into());
                    }
                },
            };
            indices.0.push(index);
        }
        let operands = [(of, Value::Tensor(x.clone()))];
        let mut result = x.clone();
        if !(tensor.is_some() && items.len() == 1) {
            result = x.try_i(indices.clone()).map_err(|e| self.fault(&e, span, &operands))?;
            self.note_made(std::slice::from_ref(&result), span);
        }
        let Some((at, place, index)) = tensor else { return Ok(Value::Tensor(result)) };
        if index.dtype() == covector::DType::Bool {
            let op = registry::find("masked_select").expect("an op of the registry");
            return self.apply(op, vec![(of, Value::Tensor(result)), (place, Value::Tensor(index))], Vec::new(), span);
        }
        // The axis of the result along which the tensor of indices picks.
        let before = &indices.0[..at];
        let axis = match before.contains(&Index::Ellipsis) {
            true => -((indices.0.len() - at) as i64),
            false => before.iter().filter(|i| !matches!(i, Index::At(_))).count() as i64,
        };
        let op = registry::find("take").expect("an op of the registry");
        let axis = (place, Value::Int(Int::from(axis)));
        self.apply(op, vec![(of, Value::Tensor(result)), (place, Value::Tensor(index)), axis], Vec::new(), span)
    }

    fn span_of(&mut self, [start, stop, step]: [&Option<Expr>; 3]) -> Run<Index> {
        let mut bound = |e: &Option<Expr>| -> Run<Option<i64>> {
            let Some(e) = e else { return Ok(None) };
            match self.expr(e)? {
                Value::Int(i) => Ok(Some(i.value)),
                Value::None => Ok(None),
                other => {
                    let fault = Fault::new("the bounds of a slice are integers", e.span);
                    Err(fault.here(format!("this is {}", other.describe())).into())
                }
            }
        };
        let index = match (bound(start)?, bound(stop)?) {
            (Some(a), Some(b)) => Index::from(a..b),
            (Some(a), None) => Index::from(a..),
            (None, Some(b)) => Index::from(..b),
            (None, None) => Index::from(..),
        };
        Ok(bound(step)?.map_or(index, |step| index.step(step)))
    }

    fn index_list(&mut self, list: &[Value], items: &[IndexItem], span: Span) -> Run<Value> {
        let n = list.len() as i64;
        match items {
            [IndexItem::At(e)] => match self.expr(e)? {
                Value::Int(i) if (-n..n).contains(&i.value) => Ok(list[i.value.rem_euclid(n) as usize].clone()),
                Value::Int(i) => {
                    Err(Fault::new(format!("index {} is out of range for a list of {n}", i.value), e.span).into())
                }
                other => {
                    let fault = Fault::new("a list is indexed by an integer", e.span);
                    Err(fault.here(format!("this is {}", other.describe())).into())
                }
            },
            [IndexItem::Slice { start, stop, step: None, .. }] => {
                let mut bound = |e: &Option<Expr>, none: i64| -> Run<i64> {
                    let Some(e) = e else { return Ok(none) };
                    let value = self.expr(e)?;
                    value
                        .as_int()
                        .map(|i| if i < 0 { i + n } else { i }.clamp(0, n))
                        .ok_or_else(|| Fault::new("the bounds of a slice are integers", e.span).into())
                };
                let (a, b) = (bound(start, 0)? as usize, bound(stop, n)? as usize);
                Ok(Value::List(list.get(a..b.max(a)).unwrap_or_default().to_vec()))
            }
            _ => Err(Fault::new("a list has one axis", span).into()),
        }
    }
}
