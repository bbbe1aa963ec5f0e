//! People: the users of a tenant, and the administrators of the platform.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use crate::console::attempt::Attempt;
use crate::console::created::{Secrecy, create};
use crate::console::fields::{Field, Form, Kind, Label, Style};
use crate::console::form_view::FormView;
use crate::console::format::Moment;
use crate::console::opened_row::row_href;
use crate::console::page_error::PageError;
use crate::console::response::{html, see_other};
use crate::console::shell::Shell;
use crate::console::submission::Submission;
use crate::console::visit::Visit;
use crate::http::path::{AdministratorPath, TenantPath, UserPath};
use crate::http::problem::Problem;
use crate::http::requests::{self, Prioritized};
use crate::services::users::{self, NewUser, UserChanges, UserOwner};
use slipway_domain::access::{Action, Platform, User};
use slipway_domain::catalog::ids::UserId;
use slipway_domain::catalog::versioned::Versioned;

pub(super) const ROLES: &[(&str, Label)] = &[
    ("viewer", |t| t.role_viewer),
    ("publisher", |t| t.role_publisher),
    ("admin", |t| t.role_admin),
];

const USER: Form = Form {
    key: "user",
    submit: |t| t.create,
    explanation: None,
    style: Style::Primary,
    fields: &[
        Field::new("username", Kind::Text, |t| t.username)
            .required()
            .hint(|t| t.username_hint),
        Field::new("password", Kind::NewPassword, |t| t.password)
            .required()
            .hint(|t| t.password_hint),
        Field::new("role", Kind::Choice(ROLES), |t| t.role).required(),
    ],
};

const ADMINISTRATOR: Form = Form {
    fields: &[
        Field::new("username", Kind::Text, |t| t.username)
            .required()
            .hint(|t| t.username_hint),
        Field::new("password", Kind::NewPassword, |t| t.password)
            .required()
            .hint(|t| t.password_hint),
    ],
    ..USER
};

const CHANGE_USER: Form = Form {
    key: "change",
    submit: |t| t.save,
    explanation: Some(|t| t.change_ends_sessions),
    style: Style::Primary,
    fields: &[
        Field::new("role", Kind::Choice(ROLES), |t| t.role).required(),
        Field::new("enabled", Kind::Flag, |t| t.may_sign_in),
        Field::new("password", Kind::NewPassword, |t| t.new_password).hint(|t| t.new_password_hint),
    ],
};

const CHANGE_ADMINISTRATOR: Form = Form {
    fields: &[
        Field::new("enabled", Kind::Flag, |t| t.may_sign_in),
        Field::new("password", Kind::NewPassword, |t| t.new_password).hint(|t| t.new_password_hint),
    ],
    ..CHANGE_USER
};

const DELETE: Form = Form {
    key: "delete",
    submit: |t| t.delete_person,
    explanation: Some(|t| t.delete_person_explanation),
    style: Style::Danger,
    fields: &[],
};

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage<'a> {
    s: &'a Shell,
    people: Vec<PersonRow>,
    next: Option<String>,
    form: FormView,
}

struct PersonRow {
    id: String,
    username: String,
    role: &'static str,
    enabled: bool,
    created_at: Moment,
    /// Address of the page with the forms of this row.
    change_href: Option<String>,
    forms: Vec<FormView>,
}

/// Owner of people with its forms and its address.
struct Group<O> {
    owner: O,
    base: String,
    title: Label,
    create: &'static Form,
    change: &'static Form,
    read_new: fn(&serde_json::Value) -> Result<NewUser, Problem>,
    read_changes: fn(&serde_json::Value) -> Result<Prioritized<UserChanges>, Problem>,
}

fn of_tenant(TenantPath { tenant_id }: &TenantPath) -> Group<slipway_domain::catalog::ids::TenantId> {
    Group {
        owner: *tenant_id,
        base: format!("/console/tenants/{tenant_id}/people"),
        title: |t| t.people,
        create: &USER,
        change: &CHANGE_USER,
        read_new: requests::user,
        read_changes: requests::user_changes,
    }
}

fn of_platform() -> Group<Platform> {
    Group {
        owner: Platform,
        base: "/console/people".to_owned(),
        title: |t| t.administrators,
        create: &ADMINISTRATOR,
        change: &CHANGE_ADMINISTRATOR,
        read_new: requests::administrator,
        read_changes: requests::administrator_changes,
    }
}

impl<O: UserOwner> Group<O> {
    async fn render(&self, visit: &Visit, attempt: Option<&Attempt>) -> Result<HttpResponse, PageError> {
        let found = users::list(&visit.ctx, &visit.caller(false), self.owner, &visit.page()?).await?;
        let shell = Shell::of(visit, (self.title)(visit.texts()));
        let people = found
            .items
            .iter()
            .map(|stored| self.row(visit, &shell, attempt, stored));
        let page = PeoplePage {
            people: people.collect(),
            next: visit.next_page(&self.base, found.next),
            form: shell
                .forms(attempt)
                .form(self.create, &self.base)
                .behind(shell.t.new_person),
            s: &shell,
        };
        html(attempt.map_or(StatusCode::OK, Attempt::status), &page)
    }

    fn row(
        &self,
        visit: &Visit,
        shell: &Shell,
        attempt: Option<&Attempt>,
        stored: &Versioned<User>,
    ) -> PersonRow {
        let (user, id) = (&stored.value, stored.value.id.to_string());
        let change_href = row_href(visit, &self.base, attempt, &id);
        PersonRow {
            username: user.username.to_string(),
            role: shell.t.role(user.role),
            enabled: user.enabled,
            created_at: Moment(stored.created_at),
            forms: match change_href {
                None => self.forms_of(shell, attempt, stored),
                Some(_) => Vec::new(),
            },
            change_href,
            id,
        }
    }

    fn forms_of(&self, shell: &Shell, attempt: Option<&Attempt>, stored: &Versioned<User>) -> Vec<FormView> {
        let (user, t, forms) = (&stored.value, shell.t, shell.forms(attempt));
        let (id, base) = (user.id.to_string(), &self.base);
        let values = vec![
            ("role", user.role.as_str().to_owned()),
            ("enabled", user.enabled.to_string()),
        ];
        vec![
            forms
                .form_of(self.change, &id, format!("{base}/{id}"), values)
                .etag(&stored.etag)
                .behind(t.change),
            forms
                .form_of(&DELETE, &id, format!("{base}/{id}/delete"), Vec::new())
                .etag(&stored.etag)
                .behind(t.delete),
        ]
    }

    async fn create(&self, form: &Submission) -> Result<HttpResponse, PageError> {
        let made = async {
            let new = (self.read_new)(&self.create.body(&form.input))?;
            let permission = self.owner.permission(Action::ManageUsers);
            let ctx = &form.visit.ctx;
            create(
                form,
                permission,
                Secrecy::Open,
                async |caller, reservation, once| {
                    users::create(ctx, &caller, self.owner, new, once(reservation)).await
                },
            )
            .await
        };
        match made.await {
            Ok(_) => Ok(see_other(&format!("{}?done=created", self.base))),
            Err(problem) => {
                self.render(&form.visit, Some(&form.attempt(self.create, problem)?))
                    .await
            }
        }
    }

    async fn update(&self, form: &Submission, id: UserId) -> Result<HttpResponse, PageError> {
        let done = async {
            let (changes, is_urgent) = (self.read_changes)(&self.change.body(&form.input))?;
            let (caller, _permit) = form.begin(is_urgent)?;
            users::update(
                &form.visit.ctx,
                &caller,
                self.owner,
                id,
                changes,
                &form.precondition(),
            )
            .await?;
            Ok(())
        };
        self.finish(form, self.change, id, done.await, "saved").await
    }

    async fn delete(&self, form: &Submission, id: UserId) -> Result<HttpResponse, PageError> {
        let done = async {
            let (caller, _permit) = form.begin(true)?;
            users::delete(&form.visit.ctx, &caller, self.owner, id, &form.precondition()).await?;
            Ok(())
        };
        self.finish(form, &DELETE, id, done.await, "deleted").await
    }

    async fn finish(
        &self,
        form: &Submission,
        of: &Form,
        id: UserId,
        done: Result<(), Problem>,
        notice: &str,
    ) -> Result<HttpResponse, PageError> {
        match done {
            Ok(()) => Ok(see_other(&format!("{}?done={notice}", self.base))),
            Err(problem) => {
                let attempt = form.attempt_on(of, &id.to_string(), problem)?;
                self.render(&form.visit, Some(&attempt)).await
            }
        }
    }
}

pub(in crate::console) async fn list_users(visit: Visit) -> Result<HttpResponse, PageError> {
    of_tenant(&visit.path()?).render(&visit, None).await
}

pub(in crate::console) async fn create_user(form: Submission) -> Result<HttpResponse, PageError> {
    of_tenant(&form.visit.path()?).create(&form).await
}

fn tenant_of(path: &UserPath) -> TenantPath {
    TenantPath {
        tenant_id: path.tenant_id,
    }
}

pub(in crate::console) async fn update_user(form: Submission) -> Result<HttpResponse, PageError> {
    let path: UserPath = form.visit.path()?;
    of_tenant(&tenant_of(&path)).update(&form, path.id).await
}

pub(in crate::console) async fn delete_user(form: Submission) -> Result<HttpResponse, PageError> {
    let path: UserPath = form.visit.path()?;
    of_tenant(&tenant_of(&path)).delete(&form, path.id).await
}

pub(in crate::console) async fn list_administrators(visit: Visit) -> Result<HttpResponse, PageError> {
    of_platform().render(&visit, None).await
}

pub(in crate::console) async fn create_administrator(form: Submission) -> Result<HttpResponse, PageError> {
    of_platform().create(&form).await
}

pub(in crate::console) async fn update_administrator(form: Submission) -> Result<HttpResponse, PageError> {
    let AdministratorPath { id } = form.visit.path()?;
    of_platform().update(&form, id).await
}

pub(in crate::console) async fn delete_administrator(form: Submission) -> Result<HttpResponse, PageError> {
    let AdministratorPath { id } = form.visit.path()?;
    of_platform().delete(&form, id).await
}
