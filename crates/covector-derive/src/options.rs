//! Reads the options of `#[op(...)]`, and writes its samples.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, Ident, LitBool, LitStr, MetaNameValue, Result, Token};

/// What stands in `#[op(...)]`.
pub struct Options {
    pub samples: Vec<Sample>,
    pub method: bool,
    pub name: Option<LitStr>,
    pub notes: Option<Expr>,
}

/// One tuple of argument values.
pub struct Sample {
    span: Span,
    values: Vec<Expr>,
}

impl Parse for Options {
    fn parse(input: ParseStream) -> Result<Self> {
        let (mut samples, mut method, mut name, mut notes) = (None, None, None, None);
        let options = Punctuated::<MetaNameValue, Token![,]>::parse_terminated(input)?;
        for MetaNameValue { path, value, .. } in options {
            let key = path.get_ident().map(Ident::to_string).unwrap_or_default();
            let twice = match key.as_str() {
                "samples" => samples.replace(read_samples(&value)?).is_some(),
                "method" => method.replace(read::<LitBool>(&value)?).is_some(),
                "name" => name.replace(read(&value)?).is_some(),
                "notes" => notes.replace(value).is_some(),
                _ => {
                    let message = "expected `samples`, `method`, `name` or `notes`";
                    return Err(Error::new_spanned(path, message));
                }
            };
            if twice {
                return Err(Error::new_spanned(path, "this option is given twice"));
            }
        }
        let missing = "an op needs samples: `#[op(samples = [(real([2, 3]), -1)])]`";
        Ok(Self {
            samples: samples.ok_or_else(|| Error::new(Span::call_site(), missing))?,
            method: method.is_none_or(|method| method.value),
            name,
            notes,
        })
    }
}

impl Sample {
    fn read(expr: &Expr) -> Result<Self> {
        let values = match peel(expr) {
            Expr::Tuple(tuple) => tuple.elems.iter().map(|value| peel(value).clone()).collect(),
            Expr::Paren(single) => vec![peel(&single.expr).clone()],
            other => return Err(Error::new_spanned(other, "a sample is a tuple: `(value,)`")),
        };
        Ok(Self { span: expr.span(), values })
    }

    /// The `Sample` of the registry, for an op of `expected` parameters.
    pub fn expand(&self, expected: usize) -> Result<TokenStream> {
        let found = self.values.len();
        if found != expected {
            let message = format!("a sample has one value per parameter: expected {expected}, found {found}");
            return Err(Error::new(self.span, message));
        }
        let args = self.values.iter().map(|value| {
            // A bare `None` does not say of which type.
            let value = match value {
                Expr::Path(path) if path.path.is_ident("None") => {
                    quote_spanned!(value.span()=> #path::<::covector::registry::Arg>)
                }
                _ => value.to_token_stream(),
            };
            quote_spanned!(value.span()=> ::covector::registry::Arg::from(#value))
        });
        Ok(quote!(::covector::registry::Sample::new(::std::vec![#(#args),*])))
    }
}

fn read<T: Parse>(value: &Expr) -> Result<T> {
    syn::parse2(peel(value).to_token_stream())
}

fn read_samples(value: &Expr) -> Result<Vec<Sample>> {
    match peel(value) {
        Expr::Array(list) if !list.elems.is_empty() => list.elems.iter().map(Sample::read).collect(),
        other => {
            let message = "`samples` is a list of at least one tuple, a value per parameter";
            Err(Error::new_spanned(other, message))
        }
    }
}

/// The expression inside the invisible parentheses that `macro_rules!` makes.
fn peel(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => peel(&group.expr),
        _ => expr,
    }
}
