//! The console as a browser without scripts meets it: pages, forms, cookies and redirects.

mod organizations;
mod sign_in;
mod visitor;
