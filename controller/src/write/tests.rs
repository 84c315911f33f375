use kube::core::Status;

use super::*;

fn desired() -> Desired<String, u32, u32> {
    Desired::new("thing", 4, Arc::default())
}

fn no() -> WriteError {
    WriteError::Api(kube::Error::Api(Box::new(Status::failure("no", "InternalError").with_code(500))))
}

fn too_early(_: String, value: u32) -> std::future::Ready<Result<u32, WriteError>> {
    panic!("{value} has to wait")
}

/// Writes what may be written now, whose end is waited for: what it was, or its refusal if it is odd.
async fn round(desired: &mut Desired<String, u32, u32>) -> (String, Result<u32, WriteError>) {
    desired.write(|_, value| async move { if value % 2 == 0 { Ok(value) } else { Err(no()) } });
    desired.ended().await
}

/// Waits for as long as what failed does.
async fn pause(desired: &Desired<String, u32, u32>) {
    tokio::time::sleep_until(desired.next_try().unwrap().into()).await;
}

#[tokio::test]
async fn what_failed_is_tried_again() {
    let mut desired = desired();
    desired.want("a".to_owned(), 1);
    assert!(round(&mut desired).await.1.is_err());
    assert!(!desired.is_writing(&"a".to_owned()));
    desired.write(too_early);
    pause(&desired).await;
    assert!(round(&mut desired).await.1.is_err());
    pause(&desired).await;
    desired.want("a".to_owned(), 2);
    assert_eq!(round(&mut desired).await.1.unwrap(), 2);
    assert!(desired.next_try().is_none());
}

#[tokio::test]
async fn what_is_wanted_now_takes_the_place_of_what_failed() {
    let mut desired = desired();
    desired.want("a".to_owned(), 1);
    assert!(round(&mut desired).await.1.is_err());
    desired.want("a".to_owned(), 2);
    pause(&desired).await;
    let (key, done) = round(&mut desired).await;
    assert_eq!((key.as_str(), done.unwrap()), ("a", 2));
}

#[tokio::test]
async fn a_write_that_panics_has_failed() {
    let mut desired = desired();
    desired.want("a".to_owned(), 2);
    desired.write(|_, value| async move {
        assert_eq!(value, 3, "this test wants it to end so");
        Ok(value)
    });
    let (key, done) = desired.ended().await;
    assert_eq!((key.as_str(), done.unwrap_err().code()), ("a", "Panic"));
    assert!(!desired.is_writing(&key));
    pause(&desired).await;
    assert_eq!(round(&mut desired).await.1.unwrap(), 2);
}

#[tokio::test]
async fn what_is_gone_is_not_tried_again() {
    let mut desired = desired();
    desired.want("a".to_owned(), 1);
    assert!(round(&mut desired).await.1.is_err());
    desired.want("b".to_owned(), 3);
    assert!(round(&mut desired).await.1.is_err());
    desired.retain(|key| key == "b");
    pause(&desired).await;
    assert_eq!(round(&mut desired).await.0, "b");
    desired.retain(|_| false);
    assert!(desired.next_try().is_none() && desired.wanted.is_empty() && desired.failed.is_empty());
}

#[tokio::test]
async fn what_is_wanted_during_a_write_is_written_after_it() {
    let mut desired = desired();
    desired.want("a".to_owned(), 1);
    desired.write(|_, _| async { Err(no()) });
    assert!(desired.is_writing(&"a".to_owned()));
    desired.want("a".to_owned(), 2);
    desired.write(too_early);
    assert!(desired.ended().await.1.is_err());
    pause(&desired).await;
    assert_eq!(round(&mut desired).await.1.unwrap(), 2, "and not what failed");
}

#[tokio::test]
async fn so_many_are_written_at_a_time_and_those_that_wait_as_they_are_wanted_by_then() {
    let mut desired = desired();
    (0..6).for_each(|n| desired.want(n.to_string(), 0));
    desired.write(|_, value| async move { Ok(value) });
    let writing = |desired: &Desired<String, u32, u32>| {
        (0..6).map(|n| desired.is_writing(&n.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(writing(&desired), [true, true, true, true, false, false]);
    desired.want("5".to_owned(), 2);
    desired.want("0".to_owned(), 4);
    let mut ended = Vec::new();
    for _ in 0..7 {
        let (key, done) = round(&mut desired).await;
        ended.push((key, done.unwrap()));
    }
    let last: Vec<_> = ended[4..].iter().map(|(key, value)| (key.as_str(), *value)).collect();
    assert_eq!(last, [("4", 0), ("5", 2), ("0", 4)], "in the order in which they were wanted");
    assert!(desired.turns.is_empty() && desired.wanted.is_empty());
}
