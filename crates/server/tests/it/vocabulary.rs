//! W_E as a place: cosines, the map, sums of words.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::{app, get, post};

async fn json_of(app: &axum::Router, path: &str) -> (StatusCode, Value) {
    let (status, bytes) = get(app, path).await;
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn cosines_are_those_of_the_neighbours() {
    let app = app();
    let (_, near) = json_of(&app, "/api/neighbours?id=7&k=3").await;
    let ids: Vec<u64> = near["neighbours"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["id"].as_u64().unwrap())
        .collect();
    let (status, answer) =
        json_of(&app, &format!("/api/cosines?ids=7,{},{}", ids[0], ids[1])).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let at = |i: usize, j: usize| answer["cosines"][i][j].as_f64().unwrap();
    for i in 0..3 {
        assert!((at(i, i) - 1.0).abs() < 1e-5);
        for j in 0..3 {
            assert!((at(i, j) - at(j, i)).abs() < 1e-5);
        }
    }
    for j in 1..3 {
        assert!((at(0, j) - near["neighbours"][j - 1]["cosine"].as_f64().unwrap()).abs() < 1e-5);
    }
}

#[tokio::test]
async fn the_map_holds_the_vocabulary() {
    let app = app();
    let (_, model) = json_of(&app, "/api/model").await;
    let (status, map) = json_of(&app, "/api/map?ids=3").await;
    assert_eq!(status, StatusCode::OK, "{map}");
    let tokens = map["tokens"].as_array().unwrap();
    assert_eq!(tokens.len() as u64, model["vocab"].as_u64().unwrap());
    assert_eq!(map["vocab"], model["vocab"]);
    assert!(map["around"].is_null());
    assert!(tokens.iter().all(|t| t["x"].is_f64() && t["y"].is_f64()));
    let shares = [0, 1].map(|i| map["shares"][i].as_f64().unwrap());
    assert!(
        1.0 > shares[0] && shares[0] >= shares[1] && shares[1] > 0.0,
        "{shares:?}"
    );
}

#[tokio::test]
async fn a_sum_leaves_its_own_words_out_and_says_so() {
    let app = app();
    let (status, sum) = json_of(&app, "/api/sum?a=a&b=b&c=c&k=5").await;
    assert_eq!(status, StatusCode::OK, "{sum}");
    assert_eq!(sum["terms"][1]["sign"], -1.0);
    let ids = |list: &Value| -> Vec<u64> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|t| t["id"].as_u64().unwrap())
            .collect()
    };
    let own: Vec<u64> = (0..3)
        .flat_map(|i| ids(&sum["terms"][i]["tokens"]))
        .collect();
    let near = ids(&sum["neighbours"]);
    assert_eq!(near.len(), 5);
    assert!(near.iter().all(|id| !own.contains(id)));
    let mut hidden = ids(&sum["left_out"]);
    let mut unique = own;
    unique.sort_unstable();
    unique.dedup();
    hidden.sort_unstable();
    assert_eq!(hidden, unique);
    // a − a + c is c alone.
    let (_, same) = json_of(&app, "/api/sum?a=a&b=a&c=c&k=5").await;
    let c = same["terms"][2]["tokens"][0]["id"].as_u64().unwrap();
    let (_, near) = json_of(&app, &format!("/api/neighbours?id={c}&k=6")).await;
    let without_a: Vec<u64> = ids(&near["neighbours"])
        .into_iter()
        .filter(|id| *id != same["terms"][0]["tokens"][0]["id"].as_u64().unwrap())
        .take(5)
        .collect();
    assert_eq!(ids(&same["neighbours"]), without_a);
}

#[tokio::test]
async fn a_changed_table_is_the_one_that_is_read() {
    let app = app();
    let edits = json!([{"kind": "weight", "name": "W_E", "at": [7, 0], "to": 1000.0}]);
    let (_, trace) = post(
        &app,
        "/api/trace",
        json!({"text": "a little dog", "edits": edits}).to_string(),
    )
    .await;
    let id = trace["id"].as_str().unwrap().to_owned();
    for path in [
        "/api/cosines?ids=7,8",
        "/api/neighbours?id=7",
        "/api/map?ids=7",
    ] {
        let (_, plain) = json_of(&app, path).await;
        let (status, edited) = json_of(&app, &format!("{path}&trace={id}")).await;
        assert_eq!(status, StatusCode::OK, "{edited}");
        assert_ne!(plain, edited, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_in_one_line() {
    let app = app();
    let (_, model) = json_of(&app, "/api/model").await;
    let vocab = model["vocab"].to_string();
    for path in [
        "/api/map?ids=999999",
        "/api/cosines?ids=3,999999",
        "/api/neighbours?id=999999",
    ] {
        let (status, value) = json_of(&app, path).await;
        let line = value["error"].as_str().unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(
            line.contains("999999") && line.contains(&vocab) && !line.contains('\n'),
            "{line}"
        );
    }
    for path in [
        "/api/map?ids=x",
        "/api/cosines?ids=-1",
        "/api/sum?a=&b=b&c=c",
        "/api/map?ids=3&trace=nothing",
    ] {
        let (status, value) = json_of(&app, path).await;
        assert!(status.is_client_error(), "{path}: {status}");
        assert!(value["error"].is_string(), "{path}: {value}");
    }
    let many: Vec<String> = (0..300).map(|i| (i % 5).to_string()).collect();
    assert_eq!(
        json_of(&app, &format!("/api/cosines?ids={}", many.join(",")))
            .await
            .0,
        StatusCode::BAD_REQUEST
    );
}
