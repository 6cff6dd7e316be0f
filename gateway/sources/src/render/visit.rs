//! Every leaf of a request's expressions.

use compose::model::Expr;
use compose::model::HeaderRule;
use compose::model::Piece;
use compose::model::Request;
use serde_json::Value as Json;

use super::Scope;

/// Visits what a request names: arguments, parents' values, claims, headers and constants.
pub(crate) fn request(request: &Request, visit: &mut dyn FnMut(&Expr)) {
    match request {
        Request::Rest(rest) => {
            pieces(&rest.path, visit);
            rest.query
                .iter()
                .for_each(|param| leaves(&param.value, visit));
            rest.body.iter().for_each(|body| leaves(body, visit));
            rules(&rest.headers, visit);
        }
        Request::Grpc(grpc) => {
            leaves(&grpc.message, visit);
            rules(&grpc.metadata, visit);
        }
        Request::Graphql(graphql) => {
            let values = graphql.args.iter().map(|(_, value)| value);
            values.for_each(|value| value.visit(&mut |expr| leaves(expr, visit)));
        }
    }
}

/// Visits what header rules name.
pub(crate) fn rules(rules: &[HeaderRule], visit: &mut dyn FnMut(&Expr)) {
    rules.iter().for_each(|rule| leaves(&rule.value, visit));
}

fn pieces(pieces: &[Piece], visit: &mut dyn FnMut(&Expr)) {
    for expr in pieces.iter().filter_map(Piece::hole) {
        leaves(expr, visit);
    }
}

fn leaves(expr: &Expr, visit: &mut dyn FnMut(&Expr)) {
    expr.visit(&mut |part| visit(part));
}

/// The values of every claim and header that a request and the source's rules name: whose request it is, as far as upstream can tell.
pub(crate) fn identity(of: &Request, source: &[HeaderRule], scope: &Scope<'_>) -> Vec<String> {
    let mut values = Vec::new();
    let mut visit = |expr: &Expr| {
        let value = match expr {
            Expr::Claim(path) => super::claim(scope.claims, path),
            Expr::Header(name) => super::header(scope.headers, name),
            _ => return,
        };
        values.push(Json::to_string(&value));
    };
    rules(source, &mut visit);
    request(of, &mut visit);
    values
}
