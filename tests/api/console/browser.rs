//! A browser: keeps cookies, does not follow redirects, and reads the fields of forms.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};

use crate::api::harness::TestApp;

const BOUNDARY: &str = "----form";

/// Encodes a form like a browser: fields in the order of the page, the file last.
pub(crate) fn file_form(fields: &[(&str, &str)], filename: &str, content: &[u8]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, value) in fields {
        let part =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        form.extend_from_slice(part.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    form.extend_from_slice(head.as_bytes());
    form.extend_from_slice(content);
    form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    form
}

/// A page as received.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) url: String,
    http: Client,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Headers of every request, such as the language.
    pub(crate) headers: Vec<(String, String)>,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location")
    }

    /// Returns the `Set-Cookie` header of this cookie.
    pub(crate) fn set_cookie(&self, name: &str) -> Option<&str> {
        let mut all = self
            .headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap());
        all.find(|cookie| cookie.starts_with(&format!("{name}=")))
    }

    /// Returns the value of a hidden field in the first form with this id.
    pub(crate) fn hidden(&self, form: &str, field: &str) -> Option<String> {
        let start = self.text.find(&format!("id=\"{form}\""))?;
        let form = &self.text[start..];
        let form = &form[..form.find("</form>")?];
        let at = form.find(&format!("name=\"{field}\" value=\""))?;
        let value = &form[at + format!("name=\"{field}\" value=\"").len()..];
        Some(value[..value.find('"')?].to_owned())
    }

    /// Returns the token of the page's forms.
    pub(crate) fn token(&self) -> String {
        let mark = "name=\"csrf_token\" value=\"";
        let at = self
            .text
            .find(mark)
            .unwrap_or_else(|| panic!("no form in {}", self.text));
        let value = &self.text[at + mark.len()..];
        value[..value.find('"').unwrap()].to_owned()
    }
}

impl Browser {
    pub(crate) fn new(app: &TestApp) -> Self {
        Self {
            url: app.url.clone(),
            http: Client::builder().redirect(Policy::none()).build().unwrap(),
            cookies: BTreeMap::new(),
            headers: Vec::new(),
        }
    }

    /// Signs in as a person.
    pub(crate) async fn signed_in(app: &TestApp, username: &str, password: &str) -> Self {
        let mut browser = Self::new(app);
        let page = browser.sign_in(username, password).await;
        assert_eq!((page.status, page.location()), (303, "/console"), "{}", page.text);
        browser
    }

    pub(crate) async fn sign_in(&mut self, username: &str, password: &str) -> Page {
        let form = self.get("/console/sign-in").await;
        let fields = [
            ("csrf_token", form.token().as_str()),
            ("username", username),
            ("password", password),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.send(Method::POST, "/console/sign-in", &fields, &[]).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, &[], &[]).await
    }

    /// Sends a form with the token of the session.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.get("/console/help").await.token();
        let mut all = vec![("csrf_token".to_owned(), token)];
        all.extend(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        self.send(Method::POST, path, &all, &[]).await
    }

    /// Opens a stream.
    pub(crate) async fn open(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        fields: &[(String, String)],
        headers: &[(&str, &str)],
    ) -> Page {
        let mut request = self.request(method.clone(), path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == Method::POST {
            request = request.form(fields);
        }
        self.receive(request).await
    }

    /// Sends a form with a file and the token of the session.
    pub(crate) async fn upload(&mut self, path: &str, filename: &str, content: &[u8]) -> Page {
        let token = self.get("/console/help").await.token();
        let body = file_form(&[("csrf_token", &token)], filename, content);
        self.send_file_form(path, body, &[]).await
    }

    /// Sends a form that [`file_form`] encoded.
    pub(crate) async fn send_file_form(
        &mut self,
        path: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Page {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let mut request = self
            .request(Method::POST, path)
            .header(CONTENT_TYPE, kind)
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.receive(request).await
    }

    async fn receive(&mut self, request: RequestBuilder) -> Page {
        let response = request.send().await.unwrap();
        let page = Page {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        };
        self.keep_cookies(&page);
        page
    }

    fn keep_cookies(&mut self, page: &Page) {
        for cookie in page.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() || attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// Returns the address of the stream of a page's live fragment.
pub(super) fn stream_of(page: &Page) -> String {
    let (_, rest) = page.text.split_once("data-events=\"").expect("the page is live");
    let (address, _) = rest.split_once('"').unwrap();
    address.to_owned()
}

/// Reads a stream up to the event of a change.
pub(super) async fn until_changed(stream: &mut reqwest::Response) {
    let mut events = String::new();
    while !events.contains("event: changed") {
        let piece = stream.chunk().await.unwrap().expect("the stream is open");
        events.push_str(std::str::from_utf8(&piece).unwrap());
    }
}
