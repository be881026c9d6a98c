//! The very same scripts run by an embedded Lua 5.1 over a map, in a time that the test says (R1.3-37).
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod store;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use marsad_ledger::request::Call;
use marsad_ledger::script::Script;
use mlua::{Function, Lua, MultiValue, Table, Value as LuaValue};
use store::{Reply, Store};

/// What the scripts may use of Lua, as in Valkey.
const ALLOWED: [&str; 12] = [
    "redis", "KEYS", "ARGV", "string", "table", "math", "tonumber", "tostring", "type", "pairs", "ipairs",
    "select",
];
const WRITES: [&str; 11] = [
    "SET",
    "DEL",
    "PEXPIRE",
    "HSET",
    "HDEL",
    "HINCRBY",
    "ZADD",
    "ZREM",
    "ZREMRANGEBYSCORE",
    "ZREMRANGEBYRANK",
    "UNLINK",
];

/// What the script that runs may touch.
#[derive(Default)]
struct Bounds {
    keys: Vec<String>,
    writes: bool,
}

/// A server without a server.
pub struct Embedded {
    lua: Lua,
    scripts: HashMap<Script, Function>,
    bounds: Rc<RefCell<Bounds>>,
    pub store: Rc<RefCell<Store>>,
}

impl Embedded {
    pub fn new() -> Self {
        Self::with(|_, text| text)
    }

    /// With scripts that are not what they should be: a test of the tests.
    pub fn with(change: impl Fn(Script, String) -> String) -> Self {
        let lua = Lua::new();
        let store = Rc::new(RefCell::new(Store::default()));
        let bounds = Rc::new(RefCell::new(Bounds::default()));
        let redis = lua.create_table().unwrap();
        let (reach, data) = (bounds.clone(), store.clone());
        let call = lua.create_function(move |lua, arguments: MultiValue| {
            let words: Vec<String> = arguments.into_iter().map(word).collect();
            check(&reach.borrow(), &words);
            let reply = data.borrow_mut().command(&words);
            to_lua(lua, reply.map_err(mlua::Error::runtime)?)
        });
        redis.set("call", call.unwrap()).unwrap();
        let globals = lua.globals();
        globals.set("redis", redis).unwrap();
        let names: Vec<String> = globals
            .pairs::<String, LuaValue>()
            .map(|pair| pair.unwrap().0)
            .collect();
        for name in names.iter().filter(|name| !ALLOWED.contains(&name.as_str())) {
            globals.raw_set(name.as_str(), LuaValue::Nil).unwrap();
        }
        let scripts = Script::ALL.map(|script| {
            // Valkey takes the first line for itself.
            let text = change(script, script.text().to_owned());
            let text = text.split_once('\n').unwrap().1.to_owned();
            (
                script,
                lua.load(text).set_name(script.name()).into_function().unwrap(),
            )
        });
        Self {
            lua,
            scripts: HashMap::from(scripts),
            bounds,
            store,
        }
    }

    /// Runs a script as EVALSHA does.
    pub fn run(&self, call: &Call) -> Vec<i64> {
        let globals = self.lua.globals();
        let before = globals.pairs::<LuaValue, LuaValue>().count();
        globals.raw_set("KEYS", call.keys.clone()).unwrap();
        globals.raw_set("ARGV", call.args.clone()).unwrap();
        *self.bounds.borrow_mut() = Bounds {
            keys: call.keys.clone(),
            writes: !call.script.text().starts_with("#!lua flags=no-writes"),
        };
        let answer: Table = self.scripts[&call.script]
            .call(())
            .unwrap_or_else(|error| panic!("{call:?}: {error}"));
        let made = globals.pairs::<LuaValue, LuaValue>().count() - before;
        assert!(made <= 2, "{} makes a global", call.script.name());
        let numbers: Vec<f64> = answer.sequence_values().map(Result::unwrap).collect();
        assert_eq!(
            numbers.len(),
            answer.pairs::<LuaValue, LuaValue>().count(),
            "{call:?} answers with a gap"
        );
        numbers.into_iter().map(exact).collect()
    }
}

fn exact(number: f64) -> i64 {
    assert!(
        number.fract() == 0.0 && number.abs() < 9e15,
        "{number} is no whole number that Lua can hold"
    );
    number as i64
}

/// A word of a command: numbers in digits, as Valkey writes whole ones.
fn word(value: LuaValue) -> String {
    match value {
        LuaValue::String(text) => text.to_str().unwrap().to_owned(),
        LuaValue::Integer(number) => number.to_string(),
        LuaValue::Number(number) => exact(number).to_string(),
        other => panic!("Valkey takes texts and numbers, not {other:?}"),
    }
}

/// A script touches the keys that it was given, and stats changes none.
fn check(bounds: &Bounds, words: &[String]) {
    assert!(
        bounds.writes || !WRITES.contains(&words[0].as_str()),
        "a reader writes: {words:?}"
    );
    let keys = match words[0].as_str() {
        "TIME" | "INFO" => &[],
        "DEL" => &words[1..],
        _ => &words[1..2],
    };
    for key in keys {
        assert!(bounds.keys.contains(key), "{key} is not declared: {words:?}");
    }
}

fn to_lua(lua: &Lua, reply: Reply) -> mlua::Result<LuaValue> {
    Ok(match reply {
        Reply::Nil => LuaValue::Boolean(false),
        Reply::Ok => LuaValue::Table(lua.create_table_from([("ok", "OK")])?),
        Reply::Number(number) => LuaValue::Number(number as f64),
        Reply::Bulk(text) => LuaValue::String(lua.create_string(text)?),
        Reply::Array(items) => {
            let items: Vec<LuaValue> = items
                .into_iter()
                .map(|item| to_lua(lua, item))
                .collect::<mlua::Result<_>>()?;
            LuaValue::Table(lua.create_sequence_from(items)?)
        }
    })
}
