//! Names that are roles and names that are none, and what the upstream is told of them.

use super::*;

#[test]
fn names_on_an_organization() {
    for name in ORGANIZATION_ROLES {
        assert_eq!(Role::on_organization(name), Some(Role::Organization(name)));
    }
    assert_eq!(Role::on_organization("GATEWAY"), Some(Role::Gateway));
    let longest = format!("app:{}", "x".repeat(64));
    for name in ["app:a", "app:Billing_2.read-only", &longest] {
        assert_eq!(Role::on_organization(name), Some(Role::Application(name.into())), "{name}");
    }
    let too_long = format!("{longest}x");
    for name in
        ["", "org_owner", "ORG_OWNER ", "GROUP_OWNER", "app:", "app:a b", "app:a,b", "app:\u{e4}", "APP:a", &too_long]
    {
        assert_eq!(Role::on_organization(name), None, "{name}");
    }
}

#[test]
fn names_on_a_project() {
    let project: Id = "5f0000000000000000000011".parse().unwrap();
    for name in PROJECT_ROLES {
        let role = Role::on_project(project, name).unwrap();
        assert_eq!((role.name(), role.project()), (name, Some(project)));
    }
    for name in ["ORG_OWNER", "GATEWAY", "app:a", ""] {
        assert_eq!(Role::on_project(project, name), None, "{name}");
    }
}

#[test]
fn an_upstream_is_told_of_all_but_gateways() {
    let (first, second): (Id, Id) =
        ("5f0000000000000000000011".parse().unwrap(), "5f0000000000000000000012".parse().unwrap());
    let roles = [
        Role::Application("app:reader".into()),
        Role::Organization("ORG_MEMBER"),
        Role::Project(second, "GROUP_OWNER"),
        Role::Project(first, "GROUP_READ_ONLY"),
        Role::Project(first, "GROUP_OWNER"),
        Role::Gateway,
    ];
    let told = grants(&roles);
    assert_eq!(
        &*told.roles,
        "5f0000000000000000000011:GROUP_OWNER,5f0000000000000000000011:GROUP_READ_ONLY,\
         5f0000000000000000000012:GROUP_OWNER,ORG_MEMBER,app:reader"
    );
    assert_eq!(&*told.projects, "5f0000000000000000000011,5f0000000000000000000012");
    assert!(told.gateway && !grants(&roles[..5]).gateway);
    assert_eq!(roles.each_ref().map(Role::name)[..2], ["app:reader", "ORG_MEMBER"]);
    assert_eq!((roles[5].name(), roles[5].project(), roles[1].project()), ("GATEWAY", None, None));
}
