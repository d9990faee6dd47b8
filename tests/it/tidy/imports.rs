//! Which file of a crate uses which other one, read from the source.
//!
//! A file uses another if it names an item that the other one defines: in a `use`, or by a path in its code. What is
//! re-exported is followed to the file that defines it. A module alone is not used by being declared. A re-export uses
//! nothing, unless the file that re-exports the item mentions it elsewhere; the same goes for what a parent brings into
//! scope of one child for the others. So a parent may declare its children and re-export what they define, while they use
//! what the parent defines.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::source::{Token, tokens};

/// A module's path from the root of the crate.
type Path = Vec<String>;

/// How deep names are followed. Real ones are less deep; those that lead back to themselves end here.
const DEPTH: usize = 24;

/// What uses what, by the paths of files in the source folder.
pub(super) type Uses = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Default)]
struct Module {
    file: String,
    items: HashSet<String>,
    /// What `use` brings into scope, by the name that it has here.
    bindings: Vec<Binding>,
    globs: Vec<Path>,
    /// Every path of two names or more in the code.
    paths: Vec<Path>,
    /// Every name in the code, apart from `use`.
    mentions: HashSet<String>,
}

#[derive(Debug)]
struct Binding {
    name: String,
    target: Path,
    is_reexport: bool,
}

enum Target {
    /// Defined in this file.
    Item(String),
    Module(Path),
}

/// The crate in these files, of which `lib.rs` and `main.rs` are the roots.
#[derive(Debug, Default)]
pub(super) struct Crate {
    name: String,
    modules: BTreeMap<Path, Module>,
}

impl Crate {
    pub(super) fn read(name: &str, files: &BTreeMap<String, String>) -> Self {
        let mut read = Self { name: name.to_owned(), ..Self::default() };
        read.add_file(files, "lib.rs", Vec::new());
        read.add_file(files, "main.rs", vec!["main".to_owned()]);
        read
    }

    fn add_file(&mut self, files: &BTreeMap<String, String>, file: &str, path: Path) {
        let Some(source) = files.get(file) else { return };
        let mut reader =
            Reader { tokens: tokens(source), file, module: path, blocks: Vec::new(), declared: Vec::new() };
        reader.read(&mut self.modules);
        for child in reader.declared {
            let place = child.join("/");
            let places = [format!("{place}.rs"), format!("{place}/mod.rs")];
            let found = places.into_iter().find(|place| files.contains_key(place));
            let found = found.unwrap_or_else(|| panic!("{file} declares {place}, which is in no file"));
            self.add_file(files, &found, child);
        }
    }

    /// Every file that is compiled into the program.
    pub(super) fn files(&self) -> BTreeSet<&str> {
        self.modules.values().map(|module| module.file.as_str()).collect()
    }

    /// Which file uses which.
    pub(super) fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (path, module) in &self.modules {
            let used = uses.entry(module.file.clone()).or_default();
            let code = module.paths.iter();
            let imports = module.bindings.iter().filter(|it| {
                let child = path.iter().chain(it.target.first()).cloned().collect::<Path>();
                let is_passed_on = it.is_reexport || self.modules.contains_key(&child);
                !is_passed_on || module.mentions.contains(&it.name)
            });
            for target in code.chain(imports.map(|binding| &binding.target)) {
                if let Some(Target::Item(file)) = self.resolve(path, target, DEPTH) {
                    used.insert(file);
                }
            }
            for glob in &module.globs {
                let Some(Target::Module(from)) = self.resolve(path, glob, DEPTH) else { continue };
                for name in &module.mentions {
                    if let Some(Target::Item(file)) = self.look_up(&from, name, true, DEPTH) {
                        used.insert(file);
                    }
                }
            }
        }
        for (file, used) in &mut uses {
            used.remove(file);
        }
        uses
    }

    fn resolve(&self, from: &Path, target: &[String], depth: usize) -> Option<Target> {
        let depth = depth.checked_sub(1)?;
        let mut names = target.iter().peekable();
        let mut at = from.clone();
        let root = if from.first().is_some_and(|first| first == "main") { vec!["main".to_owned()] } else { Vec::new() };
        match names.peek()?.as_str() {
            "crate" => at = root,
            "self" => {}
            "super" => {
                while names.next_if(|name| *name == "super").is_some() {
                    at.pop();
                }
            }
            name if *name == self.name => at = Vec::new(),
            _ => {}
        }
        _ = names.next_if(|name| ["crate", "self", self.name.as_str()].contains(&name.as_str()));
        let is_known = names.len() < target.len();
        while let Some(name) = names.next() {
            match self.look_up(&at, name, names.peek().is_none(), depth) {
                Some(Target::Module(path)) => at = path,
                // Made by a macro, for all that is known here.
                None if is_known || at != *from => {
                    return Some(Target::Item(self.modules.get(&at)?.file.clone()));
                }
                found => return found,
            }
        }
        Some(Target::Module(at))
    }

    /// What a name means in a module. A module and a function may share one: the last name of a path is the function's.
    fn look_up(&self, at: &Path, name: &str, is_last: bool, depth: usize) -> Option<Target> {
        let depth = depth.checked_sub(1)?;
        let module = self.modules.get(at)?;
        let child: Path = at.iter().cloned().chain([name.to_owned()]).collect();
        let is_child = self.modules.contains_key(&child);
        if is_child && !is_last {
            return Some(Target::Module(child));
        }
        if module.items.contains(name) {
            return Some(Target::Item(module.file.clone()));
        }
        let bindings = module.bindings.iter().filter(|binding| binding.name == name);
        let mut bound = bindings.filter_map(|binding| self.resolve(at, &binding.target, depth));
        if let Some(target) = bound.next() {
            return Some(target);
        }
        if is_child {
            return Some(Target::Module(child));
        }
        module.globs.iter().find_map(|glob| match self.resolve(at, glob, depth) {
            Some(Target::Module(from)) if from != *at => self.look_up(&from, name, is_last, depth),
            _ => None,
        })
    }
}

/// Reads the modules of one file.
struct Reader<'f> {
    tokens: Vec<Token>,
    file: &'f str,
    module: Path,
    /// For each open brace, whether it is a module's.
    blocks: Vec<bool>,
    /// Modules that have files of their own.
    declared: Vec<Path>,
}

impl Reader<'_> {
    fn end_block(&mut self) {
        if self.blocks.pop() == Some(true) {
            self.module.pop();
        }
    }

    fn word(&self, at: usize) -> Option<&str> {
        self.tokens.get(at).and_then(Token::word)
    }

    fn is(&self, at: usize, mark: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(mark))
    }

    fn read(&mut self, modules: &mut BTreeMap<Path, Module>) {
        self.file.clone_into(&mut modules.entry(self.module.clone()).or_default().file);
        let mut at = 0;
        while at < self.tokens.len() {
            let module = modules.entry(self.module.clone()).or_default();
            self.file.clone_into(&mut module.file);
            let is_top = self.blocks.iter().all(|is_module| *is_module);
            let name = self.word(at + 1).map(str::to_owned);
            match (self.word(at), name) {
                (Some("use"), _) => {
                    let is_reexport = at > 0 && (self.word(at - 1) == Some("pub") || self.is(at - 1, ")"));
                    at = self.read_use(at + 1, &[], is_reexport, module);
                    continue;
                }
                (Some("mod"), Some(name)) if is_top && self.is(at + 2, ";") => {
                    self.declared.push(self.module.iter().cloned().chain([name]).collect());
                    at += 2;
                }
                (Some("mod"), Some(name)) if is_top && self.is(at + 2, "{") => {
                    self.blocks.push(true);
                    self.module.push(name);
                    at += 2;
                }
                // `const fn` and the like: the next word starts the item.
                (Some("static" | "const"), Some(name))
                    if is_top && ["fn", "mut", "unsafe", "async"].contains(&name.as_str()) => {}
                (Some("struct" | "enum" | "trait" | "type" | "fn" | "static" | "const"), Some(name)) if is_top => {
                    module.items.insert(name);
                }
                (Some(word), _) => {
                    let follows_path = at > 0 && (self.is(at - 1, "::") || self.is(at - 1, "."));
                    let mut path = vec![word.to_owned()];
                    while self.is(at + 1, "::")
                        && let Some(next) = self.word(at + 2)
                    {
                        path.push(next.to_owned());
                        at += 2;
                    }
                    if !follows_path {
                        module.mentions.insert(path[0].clone());
                        if path.len() > 1 {
                            module.paths.push(path);
                        }
                    }
                }
                _ if self.is(at, "{") => self.blocks.push(false),
                _ if self.is(at, "}") => self.end_block(),
                _ => {}
            }
            at += 1;
        }
    }

    /// Reads one tree of a `use`; returns where it ends.
    fn read_use(&self, mut at: usize, prefix: &[String], is_reexport: bool, module: &mut Module) -> usize {
        let mut target = prefix.to_vec();
        if self.is(at, "::") {
            at += 1;
        }
        loop {
            if self.is(at, "{") {
                at += 1;
                while at < self.tokens.len() && !self.is(at, "}") {
                    at = self.read_use(at, &target, is_reexport, module);
                    if self.is(at, ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            if self.is(at, "*") {
                module.globs.push(target);
                return at + 1;
            }
            match self.word(at) {
                Some("self") if !target.is_empty() => {}
                Some(word) => target.push(word.to_owned()),
                None => return at + 1,
            }
            at += 1;
            if self.is(at, "::") {
                at += 1;
                continue;
            }
            let mut name = target.last().cloned().unwrap_or_default();
            if self.word(at) == Some("as") {
                name = self.word(at + 1).unwrap_or_default().to_owned();
                at += 2;
            }
            module.bindings.push(Binding { name, target, is_reexport });
            return at;
        }
    }
}

/// The groups of files that use each other, directly or round a corner.
pub(super) fn circles(uses: &Uses) -> Vec<Vec<String>> {
    // Whom each file reaches: small enough to be spelled out.
    let reached: HashMap<&str, HashSet<&str>> = uses.keys().map(|file| (file.as_str(), reached(uses, file))).collect();
    let mut circles = BTreeSet::new();
    for (file, reaches) in &reached {
        if reaches.contains(file) {
            let back = |other: &&&str| reached.get(**other).is_some_and(|others| others.contains(file));
            let mut circle: Vec<String> = reaches.iter().filter(back).map(|&other| other.to_owned()).collect();
            circle.sort();
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reached<'u>(uses: &'u Uses, file: &str) -> HashSet<&'u str> {
    let mut reached = HashSet::new();
    let mut open: Vec<&str> = uses.get(file).into_iter().flatten().map(String::as_str).collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(uses.get(next).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}
