//! The sources as syntax trees: the modules, and the paths that each of them names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, UseTree};

/// A package of the workspace.
struct Package {
    /// Name of the crate in code.
    name: &'static str,
    sources: &'static str,
    /// Path of its root module among the modules of all packages. The modules of `slipway-domain` are layers
    /// themselves, like those of the server; the other packages are a layer each.
    root: &'static [&'static str],
}

const PACKAGES: [Package; 8] = [
    Package {
        name: "slipway",
        sources: "src",
        root: &[],
    },
    Package {
        name: "slipway_domain",
        sources: "crates/slipway-domain/src",
        root: &[],
    },
    Package {
        name: "slipway_resolver",
        sources: "crates/slipway-resolver/src",
        root: &["resolver"],
    },
    Package {
        name: "slipway_gateway",
        sources: "crates/slipway-gateway/src",
        root: &["gateway"],
    },
    Package {
        name: "slipway_client",
        sources: "crates/slipway-client/src",
        root: &["client"],
    },
    Package {
        name: "slipway_package",
        sources: "crates/slipway-package/src",
        root: &["package"],
    },
    Package {
        name: "slipway_package_maker",
        sources: "crates/slipway-package-maker/src",
        root: &["package_maker"],
    },
    Package {
        name: "slipway_test_support",
        sources: "crates/slipway-test-support/src",
        root: &["test_support"],
    },
];

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&segment| segment.to_owned()).collect()
}

/// A module of a package, in a file of its own.
pub(crate) struct Module {
    /// Path among the modules of all packages, for example `["storage", "pool"]`.
    pub(crate) path: Vec<String>,
    pub(crate) file: PathBuf,
    /// Complete text of the file.
    pub(crate) text: String,
    /// Absolute paths into the crate that code outside of tests names.
    pub(crate) inner: BTreeSet<Vec<String>>,
    /// First segments of the other paths: libraries, and names in scope.
    pub(crate) outer: BTreeSet<String>,
    /// Re-exported names of the module, and their origins.
    reexports: BTreeMap<String, Vec<String>>,
    /// Items and modules of the crate that the module renames.
    pub(crate) renamed: Vec<Vec<String>>,
}

/// All modules of the workspace, migrations excepted.
pub(crate) struct Sources(pub(crate) Vec<Module>);

impl Sources {
    pub(crate) fn read() -> Self {
        let mut modules = Vec::new();
        for package in &PACKAGES {
            collect(
                package,
                Path::new(package.sources),
                &mut owned(package.root),
                &mut modules,
            );
        }
        assert!(modules.len() > 100, "the sources are there");
        Self(modules)
    }

    /// The modules of a layer: a folder or a file directly below `src`, or a package.
    pub(crate) fn layer<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Module> {
        let modules = self.0.iter();
        modules.filter(move |module| module.path.first().is_some_and(|first| first == name))
    }

    /// Returns the module that defines the item at a path. Follows re-exports.
    pub(crate) fn home(&self, path: &[String]) -> Option<&Module> {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let module = self.deepest(&path)?;
            let name = path.get(module.path.len());
            match name.and_then(|name| module.reexports.get(name)) {
                Some(origin) if *origin != path => {
                    let rest = path.split_off(module.path.len() + 1);
                    path = [origin.clone(), rest].concat();
                }
                _ => return Some(module),
            }
        }
        None
    }

    fn deepest(&self, path: &[String]) -> Option<&Module> {
        let modules = self.0.iter().filter(|module| path.starts_with(&module.path));
        modules.max_by_key(|module| module.path.len())
    }
}

fn collect(package: &Package, directory: &Path, path: &mut Vec<String>, modules: &mut Vec<Module>) {
    let entries = fs::read_dir(directory).expect("the sources are there");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry is readable").path())
        .collect();
    files.sort();
    for file in files {
        let name = file
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("names are text");
        let name = name.to_owned();
        if file.is_dir() {
            path.push(name);
            collect(package, &file, path, modules);
            path.pop();
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            let mut own = path.clone();
            if !["mod", "lib"].contains(&name.as_str()) {
                own.push(name);
            }
            // Skips a file that only tests declare.
            if !own.iter().any(|part| part == "tests") {
                modules.push(Module::parse(package, own, file));
            }
        }
    }
}

impl Module {
    fn parse(package: &Package, path: Vec<String>, file: PathBuf) -> Self {
        let text = fs::read_to_string(&file).expect("sources are text");
        let tree = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut module = Self {
            path: path.clone(),
            file,
            text,
            inner: BTreeSet::new(),
            outer: BTreeSet::new(),
            reexports: BTreeMap::new(),
            renamed: Vec::new(),
        };
        let mut visitor = Visitor {
            module: &mut module,
            root: owned(package.root),
            scope: path,
        };
        visitor.visit_file(&tree);
        module
    }

    /// Name of the layer.
    pub(crate) fn layer(&self) -> &str {
        self.path.first().map_or("lib", String::as_str)
    }
}

/// Walks the code of a module, tests excepted.
struct Visitor<'m> {
    module: &'m mut Module,
    /// Path of the package's root module.
    root: Vec<String>,
    /// Path of the module that the code is in: that of the file, or of a module within it.
    scope: Vec<String>,
}

impl Visitor<'_> {
    /// Records a path as it is written.
    fn name(&mut self, segments: &[String]) -> Option<Vec<String>> {
        let (first, rest) = segments.split_first()?;
        let base = match first.as_str() {
            "crate" => self.root.clone(),
            "self" => self.scope.clone(),
            "super" => self.scope[..self.scope.len().saturating_sub(1)].to_vec(),
            other => {
                self.module.outer.insert(first.clone());
                let package = PACKAGES.iter().find(|package| package.name == other)?;
                owned(package.root)
            }
        };
        let mut absolute = base;
        for segment in rest {
            if segment == "super" {
                absolute.pop();
            } else {
                absolute.push(segment.clone());
            }
        }
        self.module.inner.insert(absolute.clone());
        Some(absolute)
    }

    fn name_tree(&mut self, before: &[String], tree: &UseTree, is_public: bool) {
        match tree {
            UseTree::Path(path) => {
                let before = [before, &[path.ident.to_string()]].concat();
                self.name_tree(&before, &path.tree, is_public);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.name_tree(before, tree, is_public);
                }
            }
            UseTree::Glob(_) => drop(self.name(before)),
            UseTree::Name(name) => {
                let own = name.ident.to_string();
                let whole = if own == "self" {
                    before.to_vec()
                } else {
                    [before, std::slice::from_ref(&own)].concat()
                };
                self.reexport(own, &whole, is_public);
            }
            UseTree::Rename(rename) => {
                let whole = [before, &[rename.ident.to_string()]].concat();
                self.reexport(rename.rename.to_string(), &whole, is_public);
                if rename.rename != "_" {
                    let renamed = self.name(&whole);
                    self.module.renamed.extend(renamed);
                }
            }
        }
    }

    fn reexport(&mut self, name: String, whole: &[String], is_public: bool) {
        // `pub use child::Item` names a module of the same file's folder without `self`.
        let origin = match self.name(whole) {
            Some(absolute) => absolute,
            None => [self.scope.as_slice(), whole].concat(),
        };
        if is_public && self.scope == self.module.path {
            self.module.reexports.insert(name, origin);
        }
    }

    /// Collects paths in the tokens of a macro, which are not parsed.
    fn name_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end_path(&mut path);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Group(group) => {
                    self.end_path(&mut path);
                    colons = 0;
                    self.name_tokens(group.stream());
                }
                _ => {
                    self.end_path(&mut path);
                    colons = 0;
                }
            }
        }
        self.end_path(&mut path);
    }

    fn end_path(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.name(path);
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        match item {
            Item::Use(item) => {
                let is_public = !matches!(item.vis, syn::Visibility::Inherited);
                self.name_tree(&[], &item.tree, is_public);
            }
            Item::Mod(item) if item.content.is_some() => {
                self.scope.push(item.ident.to_string());
                visit::visit_item_mod(self, item);
                self.scope.pop();
            }
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1 {
            self.name(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, macros: &'ast syn::Macro) {
        self.name_tokens(macros.tokens.clone());
        visit::visit_macro(self, macros);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.name_tokens(list.tokens.clone());
        }
        visit::visit_attribute(self, attribute);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}
