//! AWS's demonstration backend, which the console's sample API and most first APIs point to: a host
//! of the sandbox's internet that answers as the real one does.

use serde_json::{Value, json};

use super::execute_api::pairs;
use super::integration::Backend;

/// The names that it answers under.
const NAMES: [&str; 2] = [
    "petstore-demo-endpoint.execute-api.com",
    "petstore.execute-api.us-east-1.amazonaws.com",
];

/// Kinds and prices of the pets, by number from 1.
const PETS: [(&str, f64); 6] = [
    ("dog", 249.99),
    ("cat", 124.99),
    ("fish", 0.99),
    ("bird", 999.99),
    ("gecko", 249.99),
    ("dog", 49.97),
];

/// How many pets a page has.
const PAGE: usize = 3;

/// Whether the name is the backend's.
pub(super) fn is_at(host: &str) -> bool {
    NAMES.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// What it answers to a request.
pub(super) fn answer(method: &str, path: &str, query: &str, body: &[u8]) -> Backend {
    let path = path.trim_end_matches('/');
    let one = path.strip_prefix("/petstore/pets/");
    match (method, one) {
        ("GET", None) if path == "/petstore/pets" => written(200, &page(query)),
        ("POST", None) if path == "/petstore/pets" => created(body),
        ("GET", Some(number)) => match number.parse::<usize>().map(pet) {
            Ok(Some(pet)) => written(200, &pet),
            _ => refused("GetPetRequest.petId", "The value is out of range."),
        },
        ("OPTIONS", _) if path.starts_with("/petstore") => written(200, &json!({})),
        _ => written(404, &json!({ "message": "Not Found" })),
    }
}

/// The pet of a number.
fn pet(number: usize) -> Option<Value> {
    let (kind, price) = PETS.get(number.checked_sub(1)?)?;
    Some(json!({ "id": number, "type": kind, "price": price }))
}

/// The page that a query asks for, its pets of the type that it asks for.
fn page(query: &str) -> Value {
    let query = pairs(query);
    let asked = |name: &str| {
        let found = query
            .iter()
            .find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let number = asked("page").and_then(|page| page.parse::<usize>().ok());
    let first = number.unwrap_or(1).saturating_sub(1).saturating_mul(PAGE) + 1;
    let pets = (first..first.saturating_add(PAGE)).filter_map(pet);
    let pets = pets.map(|mut pet| {
        if let Some(kind) = asked("type") {
            pet["type"] = json!(kind);
        }
        pet
    });
    pets.collect()
}

/// The answer to a new pet.
fn created(body: &[u8]) -> Backend {
    let pet: Value = serde_json::from_slice(body).unwrap_or_default();
    if !PETS.iter().any(|(kind, _)| pet["type"] == *kind) {
        return refused(
            "Pet.type",
            "The type is not one of dog, cat, fish, bird and gecko.",
        );
    }
    written(200, &json!({ "pet": pet, "message": "success" }))
}

/// The answer to what it does not take.
fn refused(key: &str, message: &str) -> Backend {
    written(
        400,
        &json!({ "errors": [{ "key": key, "message": message }] }),
    )
}

fn written(status: u16, body: &Value) -> Backend {
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Backend {
        status,
        headers: vec![
            text("content-type", "application/json"),
            text("x-powered-by", "Express"),
        ],
        body: body.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(backend: &Backend) -> Value {
        serde_json::from_slice(&backend.body).expect("JSON")
    }

    #[test]
    fn three_pets_are_on_the_first_page() {
        let answer = answer("GET", "/petstore/pets", "", b"");
        assert_eq!(answer.status, 200);
        let first = json!({ "id": 1, "type": "dog", "price": 249.99 });
        assert_eq!(
            (&body(&answer)[0], body(&answer).as_array().map(Vec::len)),
            (&first, Some(3))
        );
    }

    #[test]
    fn pages_and_types_are_answered_as_they_are_asked_for() {
        let pets = body(&answer("GET", "/petstore/pets", "type=fish&page=2", b""));
        assert_eq!(
            (&pets[0]["id"], &pets[2]["type"]),
            (&json!(4), &json!("fish"))
        );
    }

    #[test]
    fn one_pet_is_asked_for_by_number_and_others_are_refused() {
        assert_eq!(
            body(&answer("GET", "/petstore/pets/1", "", b""))["type"],
            "dog"
        );
        assert_eq!(answer("GET", "/petstore/pets/0", "", b"").status, 400);
        assert_eq!(answer("DELETE", "/petstore/pets/1", "", b"").status, 404);
    }

    #[test]
    fn a_new_pet_comes_back() {
        let new = br#"{"type": "cat", "price": 123.11}"#;
        let pet = body(&answer("POST", "/petstore/pets", "", new));
        assert_eq!(
            (&pet["pet"]["price"], &pet["message"]),
            (&json!(123.11), &json!("success"))
        );
        assert_eq!(answer("POST", "/petstore/pets", "", b"{}").status, 400);
    }
}
