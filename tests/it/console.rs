//! The console as a browser without scripts meets it: pages, forms, cookies and redirects.

mod activity;
mod credentials;
mod denials;
mod organizations;
mod places;
mod rights;
mod sign_in;
mod third_party;
mod visitor;
