//! Frame of every page: navigation, person, notices.

use actix_web::HttpRequest;

use super::assets;
use super::attempt::Attempt;
use super::form_view::FormContext;
use super::missing_form::MissingForm;
use super::notices::notice_of;
use super::session::safe_path;
use super::texts::Texts;
use super::visit::{SignedIn, Visit, tenant_of};
use slipway_domain::access::{Action, Principal, is_permitted};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::language::Language;

pub(super) struct Shell {
    pub(super) t: &'static Texts,
    pub(super) language: Language,
    pub(super) title: String,
    /// Objects above this page, from the outside in.
    pub(super) trail: Vec<Link>,
    pub(super) nav: Vec<NavItem>,
    pub(super) account: Option<Account>,
    /// Address of the search of the tenant, or of the platform.
    pub(super) search: Option<String>,
    pub(super) search_hint: &'static str,
    pub(super) form_token: String,
    /// Result of the form that led to this page.
    pub(super) notice: Option<String>,
    /// Problem of a form that this page does not show.
    pub(super) missing_form: MissingForm,
    /// This page, to return to.
    pub(super) here: String,
    pub(super) style: &'static str,
    pub(super) script: &'static str,
}

pub(super) struct Link {
    pub(super) href: String,
    pub(super) label: String,
}

pub(super) struct NavItem {
    pub(super) href: String,
    pub(super) label: &'static str,
    pub(super) is_current: bool,
}

pub(super) struct Account {
    pub(super) name: String,
    pub(super) role: &'static str,
}

/// Page of the navigation, and the permission that it needs.
type NavEntry = (&'static str, fn(&Texts) -> &'static str, Action);

const OF_TENANT: [NavEntry; 13] = [
    ("", |t| t.overview, Action::ReadCatalog),
    ("/apps", |t| t.apps, Action::ReadCatalog),
    ("/artifacts", |t| t.artifacts, Action::ReadCatalog),
    ("/devices", |t| t.devices, Action::ReadDevices),
    ("/explain", |t| t.explain, Action::ReadCatalog),
    ("/org", |t| t.org, Action::ReadCatalog),
    ("/pushes", |t| t.pushes, Action::ReadDevices),
    ("/pins", |t| t.pins, Action::ReadCatalog),
    ("/people", |t| t.people, Action::ManageUsers),
    ("/keys", |t| t.keys, Action::ManageKeys),
    ("/tokens", |t| t.tokens, Action::ManageKeys),
    ("/audit", |t| t.audit, Action::ReadAudit),
    ("/settings", |t| t.settings, Action::ManageTenants),
];

const OF_PLATFORM: [NavEntry; 4] = [
    ("", |t| t.tenants, Action::ManageTenants),
    ("/people", |t| t.administrators, Action::ManagePlatform),
    ("/tokens", |t| t.tokens, Action::ManagePlatform),
    ("/audit", |t| t.audit, Action::ManagePlatform),
];

impl Shell {
    /// Builds the frame of a page for a person.
    pub(super) fn of(visit: &Visit, title: impl Into<String>) -> Self {
        let signed_in = SignedIn {
            principal: visit.principal.clone(),
            form_token: visit.form_token.clone(),
        };
        let mut shell = Self::of_anyone(&visit.request, visit.language, Some(&signed_in));
        shell.title = title.into();
        shell
    }

    /// Builds the frame of a page for somebody who may not be signed in.
    pub(super) fn of_anyone(request: &HttpRequest, language: Language, signed_in: Option<&SignedIn>) -> Self {
        let mut shell = Self::bare(Texts::of(language), language);
        let t = shell.t;
        let here = request.uri().path_and_query().map_or("", |here| here.as_str());
        if request.method().is_safe() {
            safe_path(here).unwrap_or("/console").clone_into(&mut shell.here);
        }
        let form_token = signed_in.map(|signed_in| signed_in.form_token.as_str());
        shell.notice = notice_of(request, t, form_token);
        if let Some(SignedIn {
            principal,
            form_token,
        }) = signed_in
        {
            let tenant = tenant_of(request, principal);
            shell.account = Some(Account {
                name: principal.name.clone(),
                role: t.role(principal.role),
            });
            shell.search = search_of(principal, tenant);
            if tenant.is_none() {
                shell.search_hint = t.search_platform_hint;
            }
            shell.nav = navigation(t, principal, tenant, request.path());
            shell.form_token.clone_from(form_token);
            if let Some(tenant) = tenant.filter(|_| principal.tenant.is_none()) {
                shell.trail = vec![
                    Link {
                        href: "/console/".to_owned(),
                        label: t.platform.to_owned(),
                    },
                    Link {
                        href: format!("/console/tenants/{tenant}"),
                        label: tenant.to_string(),
                    },
                ];
            }
        }
        shell
    }

    /// Builds a frame without a person.
    pub(super) fn bare(t: &'static Texts, language: Language) -> Self {
        Self {
            t,
            language,
            title: String::new(),
            trail: Vec::new(),
            nav: Vec::new(),
            account: None,
            search: None,
            search_hint: t.search_hint,
            form_token: String::new(),
            notice: None,
            missing_form: MissingForm::default(),
            here: "/console".to_owned(),
            style: assets::style_path(),
            script: assets::script_path(),
        }
    }

    /// Adds an object above this page.
    pub(super) fn below(mut self, href: impl Into<String>, label: impl Into<String>) -> Self {
        self.trail.push(Link {
            href: href.into(),
            label: label.into(),
        });
        self
    }

    /// Returns what the forms of the page need.
    pub(super) fn forms<'a>(&'a self, attempt: Option<&'a Attempt>) -> FormContext<'a> {
        if let Some(attempt) = attempt {
            self.missing_form.expect(self.t, attempt);
        }
        FormContext {
            t: self.t,
            missing_form: &self.missing_form,
            token: &self.form_token,
            attempt,
            is_done: false,
        }
    }

    pub(super) fn other_languages(&self) -> Vec<(&'static str, &'static str)> {
        let others = Language::ALL.into_iter().filter(|other| *other != self.language);
        others
            .map(|other| (other.tag(), Texts::of(other).language_name))
            .collect()
    }
}

/// Returns the address of the search of the tenant, or of the platform for those who may search it.
fn search_of(principal: &Principal, tenant: Option<TenantId>) -> Option<String> {
    match tenant {
        Some(tenant) => Some(format!("/console/tenants/{tenant}/search")),
        None if is_permitted(principal.role, Action::ManageTenants) => Some("/console/search".to_owned()),
        None => None,
    }
}

fn navigation(t: &Texts, principal: &Principal, tenant: Option<TenantId>, path: &str) -> Vec<NavItem> {
    let (base, entries): (_, &[NavEntry]) = match tenant {
        Some(tenant) => (format!("/console/tenants/{tenant}"), &OF_TENANT),
        None => ("/console".to_owned(), &OF_PLATFORM),
    };
    let permitted = entries
        .iter()
        .filter(|(.., action)| is_permitted(principal.role, *action));
    let item = |(end, label, _): &NavEntry| {
        let href = format!("{base}{end}");
        let below = path.strip_prefix(&href);
        NavItem {
            label: label(t),
            is_current: below
                .is_some_and(|rest| rest.is_empty() || (!end.is_empty() && rest.starts_with('/'))),
            href,
        }
    };
    permitted.map(item).collect()
}
