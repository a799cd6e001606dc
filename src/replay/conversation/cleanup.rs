//! Deleting what a conversation made.

use std::pin::pin;
use std::time::Duration;

use crate::contract::case::Request;
use crate::contract::json::tree::Tree;
use crate::replay::conversation::Conversation;
use crate::replay::scope::Speaker;
use crate::wire::transport::Patience;

/// How long a run that was interrupted goes on to take back what a conversation made.
const FAREWELL: Duration = Duration::from_secs(5);

impl Conversation<'_> {
    /// Takes back what the conversation made: its handles, and its members; what stays is returned.
    pub(super) async fn clean_up(&mut self) -> Vec<String> {
        let mut speakers: Vec<String> = Vec::new();
        let mut requests = Vec::new();
        let request = |speaker: &str, path: String| Request::bare(speaker, "DELETE", path);
        for exchange in &self.exchanges {
            let is_write = matches!(exchange.request.method.as_str(), "PUT" | "POST") && exchange.response.status < 300;
            if !is_write {
                continue;
            }
            if exchange.request.path.eq_ignore_ascii_case("/handles")
                && let Some(id) = exchange
                    .json
                    .as_ref()
                    .and_then(|json| json.root().member("id"))
                    .and_then(Tree::text)
            {
                requests.push(request(&exchange.speaker, format!("/handles/{id}")));
            }
            if !speakers.contains(&exchange.speaker) {
                speakers.push(exchange.speaker.clone());
            }
        }
        for path in self.variables.session_paths() {
            requests.extend(
                speakers
                    .iter()
                    .map(|speaker| request(speaker, format!("{path}/members/me"))),
            );
        }
        let replay = self.replay;
        let limit = replay.options.exchange_limit + replay.target.limits.allowance(requests.len());
        let mut end = pin!(async {
            match tokio::time::timeout(limit, replay.transport.reached_halt()).await {
                Ok(halted) if halted.is_interrupt => tokio::time::sleep(FAREWELL).await,
                // Time is up, or nobody is there to be asked.
                _ => {}
            }
        });
        let mut is_over = false;
        let patience = Patience {
            expects_throttling: false,
            pauses: Duration::ZERO,
        };
        let mut leftovers = Vec::new();
        for request in requests {
            let speaker = Speaker {
                name: &request.speaker,
                copy: 1,
            };
            let Ok(mut wire) = self.wire_request(&request, speaker) else {
                continue;
            };
            let path = wire.path.clone();
            let delivery = replay.transport.deliver(&request.speaker, &mut wire, patience);
            let why = if is_over {
                Some("not attempted".to_owned())
            } else {
                tokio::select! {
                    biased;
                    () = &mut end => {
                        is_over = true;
                        Some("no time left".to_owned())
                    }
                    delivered = delivery => match delivered {
                        Ok(response) if response.status < 500 => None,
                        Ok(response) => Some(response.status.to_string()),
                        Err(error) => Some(error.to_string()),
                    },
                }
            };
            if let Some(why) = why {
                leftovers.push(format!("{path} ({why})"));
            }
        }
        leftovers
    }
}
