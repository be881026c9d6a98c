//! One RTSP question and its answer on an open connection, with authentication.

use http_auth::{PasswordClient, PasswordParams};
use rtsp_types::headers::{ACCEPT, AUTHORIZATION, CSEQ, USER_AGENT, WWW_AUTHENTICATE};
use rtsp_types::{Message, Method, ParseError, Request, Response, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Url;

use crate::{Credentials, Failure};

/// A description is some kilobytes; what is longer is none.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Asks for the description of the stream at `url`, twice when the camera wants to know who asks.
pub(crate) async fn describe<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    url: &Url,
    credentials: Option<&Credentials>,
) -> Result<Vec<u8>, Failure> {
    let answer = ask(stream, url, 1, None).await?;
    let answer = match (status(&answer), credentials) {
        (401, Some(credentials)) => {
            let authorization = authorize(&answer, url, credentials)?;
            ask(stream, url, 2, Some(&authorization)).await?
        }
        _ => answer,
    };
    match status(&answer) {
        200..=299 => Ok(answer.into_body()),
        code => Err(Failure::status(code)),
    }
}

fn status(answer: &Response<Vec<u8>>) -> u16 {
    answer.status().into()
}

fn authorize(answer: &Response<Vec<u8>>, url: &Url, credentials: &Credentials) -> Result<String, Failure> {
    // Without a challenge that we can answer the camera says no more than that it does not want us.
    let challenge = answer.header(&WWW_AUTHENTICATE).ok_or(Failure::Unauthorized)?;
    let mut client = PasswordClient::try_from(challenge.as_str()).map_err(|why| Failure::Protocol { why })?;
    client
        .respond(&PasswordParams {
            username: credentials.username(),
            password: credentials.password(),
            uri: url.as_str(),
            method: "DESCRIBE",
            body: Some(&[]),
        })
        .map_err(|why| Failure::Protocol { why })
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    url: &Url,
    number: u32,
    authorization: Option<&str>,
) -> Result<Response<Vec<u8>>, Failure> {
    let mut request = Request::builder(Method::Describe, Version::V1_0)
        .request_uri(url.clone())
        .header(CSEQ, number.to_string())
        .header(USER_AGENT, "marsad")
        .header(ACCEPT, "application/sdp");
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let mut bytes = Vec::new();
    request
        .build(Vec::new())
        .write(&mut bytes)
        .map_err(|_| Failure::Protocol {
            why: "the question can't be written".to_owned(),
        })?;
    stream
        .write_all(&bytes)
        .await
        .map_err(|error| Failure::talk(&error))?;
    stream.flush().await.map_err(|error| Failure::talk(&error))?;
    read(stream).await
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Response<Vec<u8>>, Failure> {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        let got = stream
            .read_buf(&mut bytes)
            .await
            .map_err(|error| Failure::talk(&error))?;
        match Message::<Vec<u8>>::parse(&bytes) {
            Ok((Message::Response(response), _)) => return Ok(response),
            Ok(_) => return Err(garbage("it asks instead of answering")),
            Err(ParseError::Error) => return Err(garbage("its answer can't be read")),
            Err(ParseError::Incomplete(_)) if got == 0 && bytes.is_empty() => return Err(Failure::Closed),
            Err(ParseError::Incomplete(_)) if got == 0 => return Err(garbage("its answer ends too soon")),
            Err(ParseError::Incomplete(_)) if bytes.len() > LONGEST_ANSWER => {
                return Err(garbage("its answer is too long"));
            }
            Err(ParseError::Incomplete(_)) => {}
        }
    }
}

fn garbage(why: &str) -> Failure {
    Failure::Protocol { why: why.to_owned() }
}
