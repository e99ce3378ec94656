//! Reads the function under `#[op]`: which parameter is what, decided by syntax alone.

use proc_macro2::{Group, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, Ident, Lit, Meta, MetaNameValue, Pat, PatIdent,
    PathArguments, Result, ReturnType, Signature, Type, Visibility,
};

/// Types that are written as they are in the public signature: everything else is `impl Into<T>`.
const PRIMITIVES: [&str; 16] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128",
    "usize",
];

/// The annotated function; its body stays as it was written.
pub struct Op {
    pub docs: Vec<Attribute>,
    /// Text of `docs`, without the space after `///`.
    pub doc: String,
    pub others: Vec<Attribute>,
    pub vis: Visibility,
    pub sig: Signature,
    pub params: Vec<Param>,
    /// `R` of `-> Result<R>`.
    pub result: Type,
    pub body: Group,
}

/// One parameter, in the forms in which it occurs.
pub struct Param {
    pub name: Ident,
    /// Name in the registry.
    pub key: String,
    /// Type in the public signatures.
    pub public: TokenStream,
    /// Whether `public` is `impl Into<owned>`.
    pub convert: bool,
    /// Owned type, as taken from registry arguments.
    pub owned: TokenStream,
    /// Expression that lends the owned value to the op.
    pub lent: TokenStream,
    /// Expression that gives the converted value to the body.
    pub given: TokenStream,
    pub operand: Operand,
    /// Type for readers: without reference and `Option`.
    pub kind: String,
    pub optional: bool,
}

/// The tensors of a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    None,
    One,
    /// A slice or an option: what has `iter()`.
    Many,
    /// An `Operand`: a tensor or a number.
    OrNumber,
}

impl Parse for Op {
    fn parse(input: ParseStream) -> Result<Self> {
        let attrs = Attribute::parse_outer(input)?;
        let (docs, others): (Vec<_>, Vec<_>) = attrs.into_iter().partition(|attr| attr.path().is_ident("doc"));
        let vis = input.parse()?;
        let sig: Signature = input.parse()?;
        let body = input.parse()?;

        let qualified =
            sig.constness.is_some() || sig.asyncness.is_some() || sig.unsafety.is_some() || sig.abi.is_some();
        if qualified || !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
            return Err(Error::new_spanned(&sig, "an op is a plain function without generics"));
        }
        let doc = doc_text(&docs)?;
        if doc.trim().is_empty() {
            return Err(Error::new(sig.ident.span(), "a public op needs a docstring"));
        }
        let params = sig.inputs.iter().map(Param::read).collect::<Result<_>>()?;
        let result = result_type(&sig)?;
        Ok(Self { docs, doc, others, vis, sig, params, result, body })
    }
}

impl Param {
    fn read(input: &FnArg) -> Result<Self> {
        let typed = match input {
            FnArg::Typed(typed) => typed,
            FnArg::Receiver(receiver) => {
                let message = "an op is a free function: write `x: &Tensor`";
                return Err(Error::new_spanned(receiver, message));
            }
        };
        match &*typed.pat {
            Pat::Ident(PatIdent { ident, by_ref: None, mutability: None, subpat: None, .. }) => {
                Self::classify(ident.clone(), peel(&typed.ty))
            }
            other => Err(Error::new_spanned(other, "a parameter of an op is a simple name")),
        }
    }

    fn classify(name: Ident, ty: &Type) -> Result<Self> {
        let (inner, optional) = match wrapped(ty, "Option") {
            Some(inner) => (inner, true),
            None => (ty, false),
        };
        let (target, borrowed) = match inner {
            Type::Reference(reference) if reference.mutability.is_none() => (peel(&reference.elem), true),
            _ => (inner, false),
        };
        let (element, owned, unsized_) = match target {
            Type::Slice(slice) if borrowed => {
                let element = peel(&slice.elem);
                (element, quote!(::std::vec::Vec<#element>), true)
            }
            Type::Path(path) if borrowed && path.path.is_ident("str") => (target, quote!(::std::string::String), true),
            Type::Path(_) => (target, target.to_token_stream(), false),
            _ => return Err(unsupported(ty)),
        };
        let is = |name: &str| last_segment(element).is_some_and(|segment| segment.ident == name);
        let operand = match (is("Tensor"), optional, unsized_) {
            (true, true, true) => return Err(unsupported(ty)),
            (true, ..) if !borrowed => {
                return Err(Error::new_spanned(ty, "an op takes tensors by reference: `&Tensor`"));
            }
            (true, false, false) => Operand::One,
            (true, ..) => Operand::Many,
            (false, false, false) if is("Operand") => Operand::OrNumber,
            (false, ..) => Operand::None,
        };
        if matches!(element, Type::Reference(_)) {
            return Err(unsupported(ty));
        }

        let number = operand == Operand::OrNumber;
        let convert = number || !optional && !borrowed && !PRIMITIVES.iter().any(|primitive| is(primitive));
        Ok(Self {
            key: name.unraw().to_string(),
            public: if convert { quote!(impl ::core::convert::Into<#target>) } else { quote!(#ty) },
            convert,
            owned: if optional { quote!(::core::option::Option<#owned>) } else { owned },
            lent: match (borrowed && !number, optional, unsized_) {
                (false, ..) => quote!(#name),
                (true, false, _) => quote!(&#name),
                (true, true, false) => quote!(#name.as_ref()),
                (true, true, true) => quote!(#name.as_deref()),
            },
            // The caller still looks at an `Operand` when the body has failed.
            given: match (number, borrowed) {
                (true, true) => quote!(&#name),
                (true, false) => quote!(#name.clone()),
                (false, _) => quote!(#name),
            },
            operand,
            kind: type_text(target),
            optional,
            name,
        })
    }
}

fn unsupported(ty: &Type) -> Error {
    let message = "an op cannot take this type: use `&Tensor`, `&[T]`, `&str`, a named type, \
                   or an `Option` of these";
    Error::new_spanned(ty, message)
}

/// `R` of `-> Result<R>`.
fn result_type(sig: &Signature) -> Result<Type> {
    let (result, span) = match &sig.output {
        ReturnType::Type(_, ty) => (wrapped(peel(ty), "Result"), ty.span()),
        ReturnType::Default => (None, sig.ident.span()),
    };
    let message = "an op returns `Result<R>`, for example `Result<Tensor>`";
    result.cloned().ok_or_else(|| Error::new(span, message))
}

/// `T` of a type written `..::wrapper<T>`.
fn wrapped<'a>(ty: &'a Type, wrapper: &str) -> Option<&'a Type> {
    let segment = last_segment(ty).filter(|segment| segment.ident == wrapper)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) if arguments.args.len() == 1 => Some(peel(inner)),
        _ => None,
    }
}

fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// The type inside parentheses, or inside the invisible ones that `macro_rules!` makes.
fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        _ => ty,
    }
}

/// A type as people write it: `(Tensor, Tensor)`.
pub fn type_text(ty: &Type) -> String {
    let dense = ty.to_token_stream().to_string().replace(char::is_whitespace, "");
    dense.replace(',', ", ")
}

fn doc_text(docs: &[Attribute]) -> Result<String> {
    let mut lines = Vec::new();
    for attr in docs {
        // `#[doc(hidden)]`, `#[doc(alias = "..")]` and the like hold no text.
        let Meta::NameValue(MetaNameValue { value, .. }) = &attr.meta else {
            continue;
        };
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = value else {
            return Err(Error::new_spanned(value, "the docstring of an op is written out"));
        };
        let text = text.value();
        lines.push(text.strip_prefix(' ').unwrap_or(&text).to_owned());
    }
    Ok(lines.join("\n"))
}
