//! Reading AWS once per run: every kind's `find` is called once, whoever asks first.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::{Address, Found, Resources, Wanted};
use crate::aws::tags::Tags;
use crate::aws::{Aws, Identity};
use crate::error::{Error, Result};

/// One stack of the run.
#[derive(Debug)]
pub(crate) struct Scope {
    /// The stack's name.
    pub(crate) name: String,
    /// Its bucket.
    pub(crate) bucket: String,
    /// What it wants; empty when it is to be destroyed.
    pub(crate) resources: Resources,
    /// What its file says stands at an address by AWS's id, whether it is the stack's by now or not.
    pub(crate) adopt: BTreeMap<Address, String>,
    /// Whether deleting its log bucket takes the logs along.
    pub(crate) delete_logs: bool,
}

/// One region of one account, and the stacks of the run in it.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The clients.
    pub(crate) aws: Arc<Aws>,
    /// Who we are.
    pub(crate) identity: Identity,
    scopes: Vec<Scope>,
    /// Whether what stands in a stack's place and is nobody's is taken for the stack's.
    adopting: bool,
    /// What of [`Scope::adopt`] has been seen, by AWS's id, with the stack that it belongs to.
    named: Mutex<BTreeMap<String, Option<String>>>,
    /// What several stacks of the run would adopt because it stands in their place, by AWS's id.
    contested: Mutex<BTreeMap<String, Vec<(String, Address)>>>,
    memory: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Reader {
    /// A reader that has read nothing yet.
    pub(crate) fn new(aws: Arc<Aws>, identity: Identity, scopes: Vec<Scope>) -> Self {
        Self {
            aws,
            identity,
            scopes,
            adopting: false,
            named: Mutex::default(),
            contested: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    /// The stacks of the run.
    pub(crate) fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Takes what stands in a stack's place and is nobody's for the stack's.
    #[must_use]
    pub(crate) fn adopting(self, adopting: bool) -> Self {
        Self { adopting, ..self }
    }

    /// Whether what stands in a stack's place and is nobody's is taken for the stack's.
    pub(crate) fn is_adopting(&self) -> bool {
        self.adopting
    }

    /// The ids that the stack files name as standing at addresses of a kind.
    pub(crate) fn named<R: Wanted>(&self) -> Vec<String> {
        let named = self.wanted::<R>();
        named
            .filter_map(|(scope, address, _)| scope.adopt.get(address).cloned())
            .collect()
    }

    /// The tags of something live as its stack takes them.
    ///
    /// What a stack file names, or what stands where a stack wants something while adopting, has those
    /// that it will get, as long as it is nobody's.
    pub(crate) fn claimed<R: Wanted>(
        &self,
        id: &str,
        tags: Tags,
        stands_for: impl Fn(&Scope, &R) -> bool,
    ) -> Tags {
        let by_name = self
            .wanted::<R>()
            .find(|(scope, address, _)| scope.adopt.get(address).is_some_and(|named| named == id));
        if by_name.is_some() {
            let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            named.insert(id.to_owned(), tags.stack().map(str::to_owned));
        }
        if tags.stack().is_some() {
            return tags;
        }
        let by_place = || {
            let places = self.wanted::<R>().filter(|_| self.adopting);
            let places = places.filter(|(scope, address, want)| {
                !scope.adopt.contains_key(address) && stands_for(scope, want)
            });
            self.only_of(id, places.collect())
        };
        match by_name
            .or_else(by_place)
            .and_then(|(_, _, want)| want.tags())
        {
            Some(want) => tags.pretending(want),
            None => tags,
        }
    }

    /// The place of something nobody has, unless several stacks have it: then it is adopted by neither.
    fn only_of<'a, R>(
        &self,
        id: &str,
        places: Vec<(&'a Scope, &'a Address, &'a R)>,
    ) -> Option<(&'a Scope, &'a Address, &'a R)> {
        let (first, ..) = *places.first()?;
        if places.iter().all(|(scope, ..)| scope.name == first.name) {
            return places.into_iter().next();
        }
        let places = places.into_iter();
        let stacks = places.map(|(scope, address, _)| (scope.name.clone(), address.clone()));
        let mut contested = self
            .contested
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        contested.insert(id.to_owned(), stacks.collect());
        None
    }

    /// What other stacks of the run would adopt as well, by address, each in words.
    ///
    /// Asked after everything has been read.
    pub(crate) fn contested(&self, stack: &str) -> Vec<(Address, String)> {
        let contested = self
            .contested
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of_stack = contested.iter().filter_map(|(id, places)| {
            let (_, address) = places.iter().find(|(name, _)| name == stack)?;
            let (rival, _) = places.iter().find(|(name, _)| name != stack)?;
            let why = format!(
                "the stacks `{stack}` and `{rival}` both have a place for `{id}`, and it can be adopted by one only"
            );
            Some((address.clone(), why))
        });
        of_stack.collect()
    }

    /// What is wrong with what a stack's file names to be adopted, by address.
    ///
    /// Asked after everything has been read. What was adopted and deleted since is made anew.
    pub(crate) fn wrongly_named(
        &self,
        stack: &str,
        there: impl Fn(&Address) -> bool,
    ) -> Vec<(Address, String)> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wrong = Vec::new();
        for scope in self.scopes.iter().filter(|scope| scope.name == stack) {
            for (address, id) in &scope.adopt {
                let why = match named.get(id) {
                    Some(Some(stack)) if *stack != scope.name => {
                        format!("`{id}` belongs to the stack `{stack}`, and is not adopted")
                    }
                    Some(Some(_)) => continue,
                    Some(None) => match self.rival(stack, id) {
                        Some(rival) => format!(
                            "the stack `{rival}` names `{id}`, too, and it can be adopted by one only"
                        ),
                        None => continue,
                    },
                    None if there(address) => continue,
                    None => format!("`{id}` is not there, or is nothing that can stand here"),
                };
                wrong.push((address.clone(), why));
            }
        }
        wrong
    }

    /// Another stack of the run whose file names the same id.
    fn rival(&self, stack: &str, id: &str) -> Option<&str> {
        let mut others = self.scopes.iter().filter(|scope| scope.name != stack);
        let rival = others.find(|scope| scope.adopt.values().any(|named| named == id));
        rival.map(|scope| scope.name.as_str())
    }

    /// Changes what a stack wants; what has been read stays read.
    pub(crate) fn want(&mut self, stack: &str, resources: Resources) {
        if let Some(scope) = self.scopes.iter_mut().find(|scope| scope.name == stack) {
            scope.resources = resources;
        }
    }

    /// The names of the stacks of the run.
    pub(crate) fn stack_names(&self) -> Vec<String> {
        self.scopes.iter().map(|scope| scope.name.clone()).collect()
    }

    /// Whether a stack of this name is part of the run.
    pub(crate) fn has_stack(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.name == name)
    }

    /// The stacks of the run whose derived AWS names could have made `name`: it begins with `<stack>-`.
    pub(crate) fn may_be_ours(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| {
            name.strip_prefix(&scope.name)
                .is_some_and(|rest| rest.starts_with('-'))
        })
    }

    /// All wanted resources of a kind, with their stacks.
    pub(crate) fn wanted<R: Wanted>(&self) -> impl Iterator<Item = (&Scope, &Address, &R)> {
        self.scopes.iter().flat_map(|scope| {
            R::of(&scope.resources)
                .iter()
                .map(move |(address, want)| (scope, address, want))
        })
    }

    /// The wanted addresses of a kind in one stack.
    pub(crate) fn wanted_in<R: Wanted>(&self, stack: &str) -> BTreeMap<Address, R> {
        let scope = self.scopes.iter().find(|scope| scope.name == stack);
        scope
            .map(|scope| R::of(&scope.resources).clone())
            .unwrap_or_default()
    }

    /// Everything live of a kind; read once and remembered, so that children ask their parent's kind freely.
    ///
    /// # Errors
    ///
    /// What the read answered.
    pub(crate) async fn found<R: Wanted>(&self) -> Result<Arc<Vec<Found<R>>>> {
        self.once::<Found<R>, _>(move || Box::pin(self.read::<R>()))
            .await
    }

    /// A read that fails is told of the first resource that it was for.
    async fn read<R: Wanted>(&self) -> Result<Arc<Vec<Found<R>>>> {
        let first = self
            .wanted::<R>()
            .next()
            .map(|(_, address, _)| address.clone());
        let found = R::find(self).await.map(Arc::new);
        found.map_err(|error| match &first {
            Some(address) => error.about(address),
            None => error,
        })
    }

    /// Reads a listing once; `Key` tells listings apart.
    ///
    /// # Errors
    ///
    /// What the read answered; everybody who asks gets the same error.
    pub(crate) async fn once<'a, Key: 'static, T>(
        &'a self,
        read: impl FnOnce() -> futures::future::BoxFuture<'a, Result<Arc<T>>>,
    ) -> Result<Arc<T>>
    where
        T: Send + Sync + 'static,
    {
        let cell = self.cell::<Key, T>();
        cell.get_or_init(read).await.clone()
    }

    fn cell<Key: 'static, T: Send + Sync + 'static>(&self) -> Arc<OnceCell<Result<Arc<T>, Error>>> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let any = memory
            .entry(TypeId::of::<(Key, T)>())
            .or_insert_with(|| Arc::new(OnceCell::<Result<Arc<T>, Error>>::new()));
        Arc::clone(any)
            .downcast()
            .expect("the type is part of the key")
    }
}
