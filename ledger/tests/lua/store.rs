//! The commands that the scripts use, over a map, in a time that the test says. What differs from a real server shows in
//! `differential.rs`, which runs the same histories on both.

use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Hash(BTreeMap<String, String>),
    Sorted(BTreeMap<String, i64>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Nil,
    Ok,
    Number(i64),
    Bulk(String),
    Array(Vec<Reply>),
}

#[derive(Debug, Default)]
pub struct Store {
    /// The server's clock in microseconds.
    micros: u64,
    pub run_id: String,
    keys: HashMap<String, (Value, Option<u64>)>,
}

/// Why a command is refused.
type Refused = String;

impl Store {
    pub fn wall(&self) -> u64 {
        self.micros / 1_000
    }

    /// Sets the server's clock; what is over is gone, and does not come back with a clock that is set back.
    pub fn set_time(&mut self, micros: u64) {
        self.micros = micros;
        let wall = self.wall();
        self.keys
            .retain(|_, (_, ends)| ends.is_none_or(|ends| wall <= ends));
    }

    pub fn flush(&mut self) {
        self.keys.clear();
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        let (value, ends) = self.keys.get(key)?;
        ends.is_none_or(|ends| self.wall() <= ends).then_some(value)
    }

    /// What is there now, in the order of the names.
    pub fn all(&self) -> BTreeMap<&str, &Value> {
        let names = self.keys.keys();
        names
            .filter_map(|key| Some((key.as_str(), self.get(key)?)))
            .collect()
    }

    fn text(&self, key: &str) -> Result<Option<&str>, Refused> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err("WRONGTYPE".into()),
        }
    }

    fn hash(&self, key: &str) -> Result<Option<&BTreeMap<String, String>>, Refused> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err("WRONGTYPE".into()),
        }
    }

    fn sorted(&self, key: &str) -> Result<Option<&BTreeMap<String, i64>>, Refused> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Sorted(sorted)) => Ok(Some(sorted)),
            Some(_) => Err("WRONGTYPE".into()),
        }
    }

    fn drop_what_is_over(&mut self, key: &str) {
        if self.get(key).is_none() {
            self.keys.remove(key);
        }
    }

    fn hash_mut(&mut self, key: &str) -> Result<&mut BTreeMap<String, String>, Refused> {
        self.drop_what_is_over(key);
        let fresh = || (Value::Hash(BTreeMap::new()), None);
        match &mut self.keys.entry(key.to_owned()).or_insert_with(fresh).0 {
            Value::Hash(hash) => Ok(hash),
            _ => Err("WRONGTYPE".into()),
        }
    }

    fn sorted_mut(&mut self, key: &str) -> Result<&mut BTreeMap<String, i64>, Refused> {
        self.drop_what_is_over(key);
        let fresh = || (Value::Sorted(BTreeMap::new()), None);
        match &mut self.keys.entry(key.to_owned()).or_insert_with(fresh).0 {
            Value::Sorted(sorted) => Ok(sorted),
            _ => Err("WRONGTYPE".into()),
        }
    }

    /// A key whose last member goes is gone.
    fn without_empty(&mut self, key: &str) {
        let empty = match self.keys.get(key) {
            Some((Value::Hash(hash), _)) => hash.is_empty(),
            Some((Value::Sorted(sorted), _)) => sorted.is_empty(),
            _ => false,
        };
        if empty {
            self.keys.remove(key);
        }
    }

    fn retain(&mut self, key: &str, keep: impl Fn(i64) -> bool) -> Result<Reply, Refused> {
        let before = self.sorted_mut(key)?.len();
        self.sorted_mut(key)?.retain(|_, score| keep(*score));
        let gone = before - self.sorted_mut(key)?.len();
        self.without_empty(key);
        Ok(Reply::Number(gone as i64))
    }

    pub fn command(&mut self, words: &[String]) -> Result<Reply, Refused> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let flag = |yes: bool| Reply::Number(i64::from(yes));
        let bulk = |text: Option<&str>| text.map_or(Reply::Nil, |text| Reply::Bulk(text.to_owned()));
        Ok(match words[..] {
            ["TIME"] => Reply::Array(vec![
                Reply::Bulk((self.micros / 1_000_000).to_string()),
                Reply::Bulk((self.micros % 1_000_000).to_string()),
            ]),
            ["INFO", "server"] => Reply::Bulk(format!("# Server\r\nrun_id:{}\r\n", self.run_id)),
            ["GET", key] => bulk(self.text(key)?),
            ["SET", key, value] => {
                self.keys
                    .insert(key.to_owned(), (Value::Text(value.to_owned()), None));
                Reply::Ok
            }
            ["SET", key, value, "PX", life] => {
                let ends = self.wall() + whole(life)? as u64;
                self.keys
                    .insert(key.to_owned(), (Value::Text(value.to_owned()), Some(ends)));
                Reply::Ok
            }
            ["DEL", ref keys @ ..] => {
                let there = keys.iter().filter(|key| self.get(key).is_some()).count();
                keys.iter().for_each(|key| drop(self.keys.remove(*key)));
                Reply::Number(there as i64)
            }
            ["PEXPIRE", key, life] => {
                let ends = self.wall() + whole(life)? as u64;
                self.drop_what_is_over(key);
                let entry = self.keys.get_mut(key);
                flag(entry.map(|(_, end)| *end = Some(ends)).is_some())
            }
            ["HGET", key, field] => bulk(
                self.hash(key)?
                    .and_then(|hash| hash.get(field))
                    .map(String::as_str),
            ),
            ["HMGET", key, ref fields @ ..] => {
                let hash = self.hash(key)?;
                let one = |field: &&str| bulk(hash.and_then(|hash| hash.get(*field)).map(String::as_str));
                Reply::Array(fields.iter().map(one).collect())
            }
            ["HSET", key, ref pairs @ ..] if !pairs.is_empty() && pairs.len() % 2 == 0 => {
                let hash = self.hash_mut(key)?;
                let set = |pair: &[&str]| hash.insert(pair[0].to_owned(), pair[1].to_owned()).is_none();
                Reply::Number(pairs.chunks(2).map(set).filter(|new| *new).count() as i64)
            }
            ["HDEL", key, field] => {
                let gone = self.hash_mut(key)?.remove(field).is_some();
                self.without_empty(key);
                flag(gone)
            }
            ["HINCRBY", key, field, by] => {
                let hash = self.hash_mut(key)?;
                let now = hash.get(field).map_or(Ok(0), |text| whole(text))? + whole(by)?;
                hash.insert(field.to_owned(), now.to_string());
                Reply::Number(now)
            }
            ["ZADD", key, score, member] => {
                let score = whole(score)?;
                flag(self.sorted_mut(key)?.insert(member.to_owned(), score).is_none())
            }
            ["ZREM", key, member] => {
                let gone = self.sorted_mut(key)?.remove(member).is_some();
                self.without_empty(key);
                flag(gone)
            }
            ["ZCARD", key] => Reply::Number(self.sorted(key)?.map_or(0, BTreeMap::len) as i64),
            ["ZSCORE", key, member] => {
                let score = self.sorted(key)?.and_then(|sorted| sorted.get(member));
                score.map_or(Reply::Nil, |score| Reply::Bulk(score.to_string()))
            }
            ["ZCOUNT", key, above, "+inf"] => {
                let above = whole(above.strip_prefix('(').ok_or("only exclusive")?)?;
                let scores = self.sorted(key)?.into_iter().flat_map(BTreeMap::values);
                Reply::Number(scores.filter(|score| **score > above).count() as i64)
            }
            ["ZREMRANGEBYSCORE", key, "-inf", most] => {
                let most = whole(most)?;
                self.retain(key, |score| score > most)?
            }
            ["ZREMRANGEBYSCORE", key, least, most] => {
                let within = whole(least)?..=whole(most)?;
                self.retain(key, |score| !within.contains(&score))?
            }
            ["ZREMRANGEBYRANK", key, "0", last] => {
                let sorted = self.sorted_mut(key)?;
                let mut order: Vec<(i64, String)> = sorted
                    .iter()
                    .map(|(member, score)| (*score, member.clone()))
                    .collect();
                order.sort();
                let count = order.len() as i64 + whole(last)? + 1;
                let gone = order.iter().take(usize::try_from(count).unwrap_or(0));
                for (_, member) in gone.clone() {
                    sorted.remove(member);
                }
                let gone = gone.count() as i64;
                self.without_empty(key);
                Reply::Number(gone)
            }
            _ => return Err(format!("no such command here: {words:?}")),
        })
    }
}

fn whole(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| format!("not a whole number: {text}"))
}
