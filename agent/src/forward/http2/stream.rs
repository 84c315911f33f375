//! One stream, from its request to its end.

use std::{future::poll_fn, sync::Arc};

use bytes::Bytes;
use h2::{Reason, RecvStream, client::SendRequest, ext::Protocol, server::SendResponse};
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version, request::Parts};
use tokio::task::yield_now;

use super::{
    super::{connection::Place, count::Said},
    answer::{Answer, Asker, GrpcStatus},
    exchange::{End, Exchange},
    session::{Destination, Session},
    way::Room,
};
use crate::snapshot::Leg;

/// Serves one stream to its end.
pub(super) async fn serve(
    session: Arc<Session>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let size = size(request.uri(), request.headers());
    if !session.make_room(size) {
        respond.send_reset(Reason::REFUSED_STREAM);
        return;
    }
    let (head, body) = request.into_parts();
    let asker = Asker::of(&head);
    if let Some(way) = find_way(&session, &head, asker, &mut respond).await {
        forward(&session, way, head, body, asker, respond).await;
    }
    session.give_back(size);
}

fn size(target: &Uri, headers: &HeaderMap) -> usize {
    let path = target.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = target.authority().map_or(0, |authority| authority.as_str().len());
    let headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    path + authority + headers
}

/// Who answers, and over which connection.
struct Way {
    server: SendRequest<Bytes>,
    room: Room,
    is_home: bool,
    /// Of a preview.
    leg: Option<Arc<Leg>>,
}

/// Finds who answers. `None`: the client has an answer already, or has gone.
async fn find_way(
    session: &Session,
    request: &Parts,
    asker: Asker,
    respond: &mut SendResponse<Bytes>,
) -> Option<Way> {
    let home =
        |leg| Some(Way { server: session.home.clone(), room: session.to_home.clone(), is_home: true, leg });
    let place = match session.decide(request) {
        Destination::Home(leg) => return home(leg),
        Destination::Away(place) => place,
        Destination::Nobody(reason, why) => {
            let (status, grpc, code) = (StatusCode::NOT_FOUND, GrpcStatus::NotFound, reason.code());
            asker.answer(respond, &Answer { status, grpc, code, why });
            return None;
        }
    };
    let line = tokio::select! {
        biased;
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return None,
        // Dialling takes much more room than all else: in a block of its own, streams for home do without it.
        line = Box::pin(session.away.line(&session.connection, &place)) => line,
    };
    let leg = match place {
        Place::App => None,
        Place::Preview(leg) => Some(leg),
    };
    match line {
        Ok(line) if request.extensions.get::<Protocol>().is_some() && !line.takes_connect() => {
            let why = format!("{} does not take extended CONNECT", name(leg.as_deref()));
            bad_gateway(asker, respond, "no-extended-connect", &why);
        }
        Ok(line) => return Some(Way { server: line.send, room: line.room, is_home: false, leg }),
        Err(unreachable) => {
            if let Some(leg) = &leg {
                session.connection.count_unreachable(leg.index);
                if leg.preview.falls_back() && matches!(session.place, Place::App) {
                    return home(None);
                }
            }
            let why = format!("{} {unreachable}", name(leg.as_deref()));
            bad_gateway(asker, respond, unreachable.code(), &why);
        }
    }
    None
}

fn name(leg: Option<&Leg>) -> String {
    leg.map_or_else(|| "the app".to_owned(), |leg| format!("preview {}", leg.preview.route.name))
}

fn bad_gateway(asker: Asker, respond: &mut SendResponse<Bytes>, code: &str, why: &str) {
    let (status, grpc) = (StatusCode::BAD_GATEWAY, GrpcStatus::Unavailable);
    asker.answer(respond, &Answer { status, grpc, code, why });
}

/// Hands the request to its server and passes on what both sides say.
async fn forward(
    session: &Session,
    way: Way,
    head: Parts,
    body: RecvStream,
    asker: Asker,
    mut respond: SendResponse<Bytes>,
) {
    let Way { mut server, room, is_home, leg } = way;
    let sent = server.send_request(outgoing(head), body.is_end_stream());
    // Without its last holder a connection to another than home ends with its last stream.
    drop(server);
    let (answer, to) = match sent {
        Ok(sent) => sent,
        Err(error) => {
            let failed = fail(session, is_home, leg.as_deref(), asker, &mut respond, None, error);
            return Box::pin(failed).await;
        }
    };
    let rooms = [room, session.to_client.clone()];
    let mut exchange = Exchange::new(body, to, answer, respond, rooms, leg.clone());
    let end = {
        let (exchange, leg, said) = (&mut exchange, leg.as_ref(), Said::default());
        poll_fn(move |cx| {
            session.connection.still_used(leg, &said);
            exchange.poll(cx)
        })
    };
    match end.await {
        End::Complete => {}
        End::ClientReset(reason) => exchange.reset_server(reason),
        End::ServerFailed(error) => {
            let has_answered = exchange.has_answered();
            let respond = exchange.respond();
            let failed = fail(session, is_home, leg.as_deref(), asker, respond, Some(has_answered), error);
            Box::pin(failed).await;
        }
    }
}

/// As the library takes it: a target without an authority has the form of HTTP/1.1.
fn outgoing(mut head: Parts) -> Request<()> {
    if head.uri.authority().is_none() && head.method != Method::CONNECT {
        head.version = Version::HTTP_11;
    }
    Request::from_parts(head, ())
}

/// Has the client see what became of its request. `has_answered` is nothing where the server has not got it.
async fn fail(
    session: &Session,
    is_home: bool,
    leg: Option<&Leg>,
    asker: Asker,
    respond: &mut SendResponse<Bytes>,
    has_answered: Option<bool>,
    error: h2::Error,
) {
    if error.is_reset() {
        // What the server said before is on its way to the client, and a reset would overtake it.
        yield_now().await;
        respond.send_reset(error.reason().unwrap_or(Reason::INTERNAL_ERROR));
    } else if error.is_go_away() && error.is_remote() {
        // The server has not looked at it, and says so: it may be sent again (RFC 9113, 6.8).
        respond.send_reset(Reason::REFUSED_STREAM);
    } else if is_home && (error.is_io() || error.is_go_away()) {
        session.is_orphaned().await;
        respond.send_reset(Reason::INTERNAL_ERROR);
    } else if is_home || has_answered == Some(true) {
        respond.send_reset(Reason::INTERNAL_ERROR);
    } else {
        if let Some(leg) = leg {
            session.connection.count_unreachable(leg.index);
        }
        let why = format!("{} could not be reached: {error}", name(leg));
        bad_gateway(asker, respond, "unreachable", &why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_head_has_a_size() {
        let size = |target: &'static str| size(&Uri::from_static(target), &HeaderMap::new());
        assert_eq!(size("http://app:80/a?b=c"), "app:80/a?b=c".len());
        assert_eq!((size("/a?b=c"), size("app:80")), (6, 6));
        let headers = HeaderMap::from_iter([(http::header::HOST, http::HeaderValue::from_static("app"))]);
        assert_eq!(super::size(&Uri::from_static("/"), &headers), 8);
    }
}
