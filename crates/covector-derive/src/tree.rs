//! `#[derive(Tree)]`: the leaves of a struct are those of its fields.

use std::collections::HashSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, Index, LitStr, Member, Result, Type, parse_quote};

/// One field: where it stands, how it is bound in patterns, and its path name (none if skipped).
struct Field {
    member: Member,
    bound: Ident,
    name: Option<LitStr>,
    ty: Type,
}

/// Expands `#[derive(Tree)]` on one type.
pub fn expand(input: TokenStream) -> Result<TokenStream> {
    let mut input: DeriveInput = syn::parse2(input)?;
    refuse_attribute(&input.attrs)?;
    // (pattern path, fields) of each variant; a struct is an enum with one variant.
    let variants = match &input.data {
        Data::Struct(data) => vec![(quote!(Self), read_fields(&data.fields)?)],
        Data::Enum(data) if data.variants.is_empty() => {
            return Err(Error::new_spanned(&input.ident, "`Tree` needs at least one variant"));
        }
        Data::Enum(data) => {
            let read = |variant: &syn::Variant| {
                refuse_attribute(&variant.attrs)?;
                let ident = &variant.ident;
                Ok((quote!(Self::#ident), read_fields(&variant.fields)?))
            };
            data.variants.iter().map(read).collect::<Result<_>>()?
        }
        Data::Union(data) => {
            return Err(Error::new_spanned(data.union_token, "`Tree` is for structs and enums"));
        }
    };
    bound_parameters(&mut input, &variants);

    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    let ident = &input.ident;
    let visits = variants.iter().map(|(path, fields)| visit_arm(path, fields));
    let maps = variants.iter().map(|(path, fields)| map_arm(path, fields));
    let fixed = variants.iter().enumerate().map(|(i, (path, fields))| fixed_arm(i, path, fields));
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::covector::Tree for #ident #ty_generics #where_clause {
            fn visit<'__leaf>(
                &'__leaf self,
                path: &mut ::covector::tree::Path,
                visit: &mut dyn ::core::ops::FnMut(&::covector::tree::Path, &'__leaf ::covector::Tensor),
            ) {
                match self { #(#visits)* }
            }

            fn rebuild(
                &self,
                path: &mut ::covector::tree::Path,
                map: &mut dyn ::core::ops::FnMut(
                    &::covector::tree::Path,
                    &::covector::Tensor,
                ) -> ::covector::Tensor,
            ) -> Self {
                match self { #(#maps)* }
            }

            fn fixed(&self, state: &mut dyn ::core::hash::Hasher) -> bool {
                let _ = &state;
                match self { #(#fixed)* }
            }
        }
    })
}

/// `Variant { 0: field_0, .. } => { visit field_0; .. }`: braces fit tuple and unit forms too.
fn visit_arm(path: &TokenStream, fields: &[Field]) -> TokenStream {
    let kept = || fields.iter().filter(|field| field.name.is_some());
    let patterns = kept().map(|Field { member, bound, .. }| quote!(#member: #bound));
    let visits = kept().map(
        |Field { name, bound, .. }| quote!(path.enter(#name, |path| ::covector::Tree::visit(#bound, path, visit));),
    );
    quote!(#path { #(#patterns,)* .. } => { #(#visits)* })
}

/// `Variant { 0: field_0, .. } => Variant { 0: mapped field_0, .. }`.
fn map_arm(path: &TokenStream, fields: &[Field]) -> TokenStream {
    let patterns = fields.iter().map(|Field { member, bound, .. }| quote!(#member: #bound));
    let values = fields.iter().map(|Field { member, bound, name, .. }| match name {
        Some(name) => {
            quote!(#member: path.enter(#name, |path| ::covector::Tree::rebuild(#bound, path, map)))
        }
        None => quote!(#member: ::core::clone::Clone::clone(#bound)),
    });
    quote!(#path { #(#patterns),* } => #path { #(#values),* },)
}

/// `Variant { 0: field_0, .. } => { state.write_usize(0); fixed field_0 && .. }`; nothing is known of skipped fields.
fn fixed_arm(index: usize, path: &TokenStream, fields: &[Field]) -> TokenStream {
    if fields.iter().any(|field| field.name.is_none()) {
        return quote!(#path { .. } => false,);
    }
    let patterns = fields.iter().map(|Field { member, bound, .. }| quote!(#member: #bound));
    let all: Vec<_> = fields.iter().map(|Field { bound, .. }| quote!(::covector::Tree::fixed(#bound, state))).collect();
    let all = if all.is_empty() { quote!(true) } else { quote!(#(#all)&&*) };
    quote!(#path { #(#patterns),* } => {
        ::core::hash::Hasher::write_usize(state, #index);
        #all
    })
}

fn read_fields(fields: &Fields) -> Result<Vec<Field>> {
    let mut names = HashSet::new();
    let read = |(index, field): (usize, &syn::Field)| {
        let member = match &field.ident {
            Some(ident) => Member::Named(ident.clone()),
            None => Member::Unnamed(Index::from(index)),
        };
        let own_name = match &field.ident {
            Some(ident) => LitStr::new(&ident.unraw().to_string(), ident.span()),
            None => LitStr::new(&index.to_string(), proc_macro2::Span::call_site()),
        };
        let name = read_attribute(&field.attrs, own_name)?;
        if let Some(name) = &name
            && !names.insert(name.value())
        {
            let message = format!("two fields have the path name \"{}\"", name.value());
            return Err(Error::new_spanned(field, message));
        }
        Ok(Field { member, bound: format_ident!("field_{index}"), name, ty: field.ty.clone() })
    };
    fields.iter().enumerate().map(read).collect()
}

/// The path name of a field, from its `#[tree(...)]` if there is one; `None` for a skipped field.
fn read_attribute(attrs: &[Attribute], own_name: LitStr) -> Result<Option<LitStr>> {
    let (mut skip, mut rename) = (false, None);
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("tree")) {
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("skip") {
                skip = true;
            } else if meta.path.is_ident("rename") {
                rename = Some(meta.value()?.parse::<LitStr>()?);
            } else {
                return Err(meta.error("expected `skip` or `rename = \"...\"`"));
            }
            if skip && rename.is_some() {
                return Err(meta.error("a skipped field has no path name to change"));
            }
            Ok(())
        })?;
    }
    Ok((!skip).then(|| rename.unwrap_or(own_name)))
}

/// `#[tree]` anywhere but on a field would silently do nothing.
fn refuse_attribute(attrs: &[Attribute]) -> Result<()> {
    match attrs.iter().find(|attr| attr.path().is_ident("tree")) {
        Some(attr) => Err(Error::new_spanned(attr, "`#[tree(...)]` belongs on a field")),
        None => Ok(()),
    }
}

/// Type parameters in fields must be trees; those in skipped fields must be `Clone`.
fn bound_parameters(input: &mut DeriveInput, variants: &[(TokenStream, Vec<Field>)]) {
    for parameter in input.generics.type_params_mut() {
        let fields = || variants.iter().flat_map(|(_, fields)| fields);
        let used = |field: &&Field| mentions(field.ty.to_token_stream(), &parameter.ident);
        let skipped = fields().filter(|field| field.name.is_none()).any(|field| used(&field));
        let kept = fields().filter(|field| field.name.is_some()).any(|field| used(&field));
        if kept {
            parameter.bounds.push(parse_quote!(::covector::Tree));
        }
        if skipped {
            parameter.bounds.push(parse_quote!(::core::clone::Clone));
        }
    }
}

fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}
