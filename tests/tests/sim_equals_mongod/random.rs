//! Commands nobody wrote: documents, filters, updates, projections and expressions drawn from a seed, on both servers.

use crate::compare::differences;
use crate::{Answerer, real, simulated};
use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use quorate_core::Rng;

/// Draws values and the language around them.
struct Draw(Rng);

const FIELDS: [&str; 3] = ["a", "b", "c"];
const PATHS: [&str; 14] =
    ["a", "b", "c", "a.x", "a.y", "b.x", "a.0", "a.1", "b.0.x", "a.x.y", "b.x.0", "c.y.x", "a.x.x", "_id"];

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0.below(n)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn scalar(&mut self) -> Bson {
        match self.below(15) {
            0..=3 => Bson::Int32(self.below(6) as i32 - 2),
            4 => Bson::Int64(self.below(4) as i64),
            5 => Bson::Double(self.below(8) as f64 / 2.0 - 1.0),
            6 => Bson::Decimal128(["1.0", "2.50", "0", "-1"][self.below(4)].parse().expect("a decimal")),
            7 | 8 => Bson::from(self.one(&["", "a", "ab", "b", "A"])),
            9 => Bson::Null,
            10 => Bson::Boolean(self.below(2) == 0),
            11 => Bson::DateTime(DateTime::from_millis(self.below(3) as i64)),
            12 => Bson::ObjectId(ObjectId::from_bytes([self.below(3) as u8; 12])),
            13 => [Bson::MinKey, Bson::MaxKey, Bson::Double(f64::NAN)][self.below(3)].clone(),
            _ => Bson::Int32(1),
        }
    }

    fn value(&mut self, depth: usize) -> Bson {
        match self.below(if depth == 0 { 6 } else { 10 }) {
            0..=5 => self.scalar(),
            6 | 7 => {
                let n = self.below(4);
                Bson::Array((0..n).map(|_| self.value(depth - 1)).collect())
            }
            _ => Bson::Document(self.fields(&["x", "y"], depth - 1)),
        }
    }

    fn fields(&mut self, names: &[&str], depth: usize) -> Document {
        let mut document = Document::new();
        for name in names {
            if self.below(4) > 0 {
                document.insert(*name, self.value(depth));
            }
        }
        document
    }

    fn condition(&mut self, depth: usize) -> Bson {
        let operators = [
            "$eq",
            "$ne",
            "$gt",
            "$gte",
            "$lt",
            "$lte",
            "$in",
            "$nin",
            "$exists",
            "$type",
            "$size",
            "$all",
            "$elemMatch",
            "$not",
            "$mod",
            "$regex",
        ];
        let name = self.one(&operators);
        let argument = match name {
            "$in" | "$nin" | "$all" => {
                let n = self.below(3);
                Bson::Array((0..n).map(|_| self.value(1)).collect())
            }
            "$exists" => Bson::Boolean(self.below(2) == 0),
            "$type" => Bson::from(
                self.one(&["int", "double", "string", "object", "array", "null", "number", "bool"]),
            ),
            "$size" => Bson::Int32(self.below(4) as i32),
            "$elemMatch" if depth == 0 || self.below(2) == 0 => {
                Bson::Document(doc! { self.one(&["$gt", "$eq", "$lte"]): self.scalar() })
            }
            "$elemMatch" => Bson::Document(doc! { self.one(&["x", "y", "0", "x.y"]): self.condition(0) }),
            "$not" if depth > 0 => self.condition(0),
            "$not" => Bson::Document(doc! { "$gt": self.scalar() }),
            "$mod" => {
                Bson::Array(vec![Bson::Int32(self.below(3) as i32 + 1), Bson::Int32(self.below(2) as i32)])
            }
            "$regex" => Bson::from(self.one(&["^a", "b$", "A", "."])),
            _ => self.value(2),
        };
        let mut condition = Document::new();
        condition.insert(name, argument);
        Bson::Document(condition)
    }

    fn filter(&mut self, depth: usize) -> Document {
        if depth > 0 && self.below(5) == 0 {
            let n = self.below(2) + 1;
            let parts: Vec<Bson> = (0..n).map(|_| Bson::Document(self.filter(depth - 1))).collect();
            return doc! { self.one(&["$and", "$or", "$nor"]): parts };
        }
        let mut filter = Document::new();
        for _ in 0..=self.below(2) {
            let path = self.one(&PATHS);
            let condition = if self.below(3) == 0 { self.value(2) } else { self.condition(1) };
            filter.insert(path, condition);
        }
        filter
    }

    fn update(&mut self) -> Document {
        let operators = [
            "$set",
            "$set",
            "$unset",
            "$inc",
            "$mul",
            "$min",
            "$max",
            "$push",
            "$addToSet",
            "$pop",
            "$pull",
            "$pullAll",
            "$bit",
            "$rename",
            "$setOnInsert",
        ];
        let mut update = Document::new();
        for _ in 0..=self.below(2) {
            let operator = self.one(&operators);
            let mut fields = Document::new();
            for _ in 0..=self.below(2) {
                let path = self.one(&[
                    "a", "b", "c", "a.x", "b.x", "a.0", "a.1", "b.0.x", "a.x.y", "c.y.x", "a.3", "a.$[]",
                    "b.$[].x",
                ]);
                fields.insert(path, self.operand(operator));
            }
            update.insert(operator, fields);
        }
        update
    }

    fn operand(&mut self, operator: &str) -> Bson {
        match operator {
            "$inc" | "$mul" if self.below(6) > 0 => match self.below(4) {
                0 => Bson::Double(1.5),
                1 => Bson::Int64(2),
                2 => Bson::Decimal128("0.5".parse().expect("a decimal")),
                _ => Bson::Int32(self.below(4) as i32 - 1),
            },
            "$push" if self.below(2) == 0 => {
                let n = self.below(3);
                let mut push = doc! { "$each": (0..n).map(|_| self.value(1)).collect::<Vec<_>>() };
                if self.below(3) == 0 {
                    push.insert("$position", self.below(4) as i32 - 2);
                }
                if self.below(3) == 0 {
                    push.insert("$slice", self.below(6) as i32 - 3);
                }
                if self.below(3) == 0 {
                    push.insert(
                        "$sort",
                        if self.below(2) == 0 { Bson::Int32(1) } else { Bson::Document(doc! { "x": -1 }) },
                    );
                }
                Bson::Document(push)
            }
            "$addToSet" if self.below(2) == 0 => {
                Bson::Document(doc! { "$each": [self.value(1), self.value(0)] })
            }
            "$pop" => Bson::Int32(if self.below(2) == 0 { 1 } else { -1 }),
            "$pull" => match self.below(3) {
                0 => self.value(1),
                1 => self.condition(0),
                _ => Bson::Document(doc! { "x": self.value(0) }),
            },
            "$pullAll" => Bson::Array(vec![self.value(1), self.scalar()]),
            "$bit" => Bson::Document(doc! { self.one(&["and", "or", "xor"]): self.below(8) as i32 }),
            "$rename" => Bson::from(self.one(&["a", "b", "c", "d", "c.z"])),
            _ => self.value(2),
        }
    }

    fn projection(&mut self) -> Document {
        let mut projection = Document::new();
        let keep = self.below(2) as i32;
        for _ in 0..=self.below(2) {
            let path = self.one(&["a", "b", "c", "a.x", "b.x.y", "a.y", "_id", "c.y.x"]);
            let value = match self.below(8) {
                0 => Bson::Document(doc! { "$slice": self.below(5) as i32 - 2 }),
                1 => Bson::Document(
                    doc! { "$elemMatch": self.condition(0).as_document().cloned().unwrap_or_default() },
                ),
                2 => Bson::from(self.one(&["$a", "$b.x", "lit"])),
                _ => Bson::Int32(keep),
            };
            projection.insert(path, value);
        }
        projection
    }

    fn expression(&mut self, depth: usize) -> Bson {
        if depth == 0 || self.below(3) == 0 {
            return match self.below(3) {
                0 => Bson::Document(doc! { "$literal": self.value(1) }),
                _ => Bson::from(self.one(&["$a", "$b", "$c", "$a.x", "$b.x.y", "$nope"])),
            };
        }
        let name = self.one(&[
            "$eq",
            "$gt",
            "$lte",
            "$cmp",
            "$and",
            "$or",
            "$not",
            "$ifNull",
            "$cond",
            "$add",
            "$multiply",
            "$subtract",
            "$concat",
            "$size",
            "$in",
            "$arrayElemAt",
            "$type",
            "$isArray",
            "$max",
            "$sum",
            "$mergeObjects",
            "$concatArrays",
            "$abs",
            "$first",
        ]);
        let count = match name {
            "$not" | "$size" | "$type" | "$isArray" | "$abs" | "$first" => 1,
            "$cond" => 3,
            _ => 2,
        };
        let arguments: Vec<Bson> = (0..count).map(|_| self.expression(depth - 1)).collect();
        let mut call = Document::new();
        call.insert(name, arguments);
        Bson::Document(call)
    }
}

/// Two servers and what they disagreed on.
struct Both {
    db: String,
    servers: [Box<dyn Answerer>; 2],
    wrong: Vec<String>,
}

impl Both {
    fn new(name: &str) -> Both {
        let mut both = Both {
            db: format!("sim_random_{name}"),
            servers: [Box::new(real()), Box::new(simulated())],
            wrong: Vec::new(),
        };
        both.run(doc! { "dropDatabase": 1 }, &[]);
        both
    }

    /// Whether both gave the same answer.
    fn run(&mut self, command: Document, ignore: &[&str]) -> bool {
        let [real, simulated] = &mut self.servers;
        let (real, simulated) =
            (real.answer(&self.db, command.clone()), simulated.answer(&self.db, command.clone()));
        let ignore: Vec<String> = ignore.iter().map(|i| (*i).to_owned()).collect();
        // Which of several mistakes is found first, or at all, depends on how the real one rearranges what it is given.
        let failed = |reply: &Document| reply.get_f64("ok").ok() != Some(1.0);
        let excused = ignore.iter().any(|i| i == "errors") && (failed(&real) || failed(&simulated));
        let differences = if excused { Vec::new() } else { differences(&real, &simulated, &ignore) };
        if !differences.is_empty() {
            let found = differences.join("\n      ");
            self.wrong
                .push(format!("{command}\n      {found}\n    real:      {real}\n    simulated: {simulated}"));
        }
        differences.is_empty()
    }

    fn fill(&mut self, draw: &mut Draw, count: i32) {
        let documents: Vec<Bson> = (0..count)
            .map(|id| {
                let mut document = doc! { "_id": id };
                document.extend(draw.fields(&FIELDS, 2));
                Bson::Document(document)
            })
            .collect();
        self.run(doc! { "insert": "c", "documents": documents }, &[]);
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        let count = self.wrong.len();
        assert!(
            self.wrong.is_empty() || std::thread::panicking(),
            "{count} answers differ:\n{}",
            self.wrong.iter().take(200).cloned().collect::<Vec<_>>().join("\n")
        );
    }
}

fn start(name: &str, seed: u64, documents: i32) -> (Both, Draw) {
    let seed = std::env::var("SIM_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(seed);
    let (mut both, mut draw) = (Both::new(name), Draw(Rng::new(seed)));
    both.fill(&mut draw, documents);
    (both, draw)
}

#[test]
fn filters() {
    let (mut both, mut draw) = start("filters", 1, 80);
    for _ in 0..1500 {
        let filter = draw.filter(2);
        both.run(
            doc! { "find": "c", "filter": filter, "sort": { "_id": 1 }, "projection": { "_id": 1 } },
            &[],
        );
    }
}

#[test]
fn sorts_and_projections() {
    let (mut both, mut draw) = start("projections", 2, 40);
    for _ in 0..800 {
        let path = draw.one(&PATHS);
        let order = if draw.below(2) == 0 { 1 } else { -1 };
        let projection = draw.projection();
        let mut sort = Document::new();
        sort.insert(path, order);
        sort.insert("_id", 1);
        both.run(doc! { "find": "c", "sort": sort, "projection": projection, "limit": 12 }, &["errors"]);
        both.run(doc! { "distinct": "c", "key": draw.one(&PATHS), "query": draw.filter(1) }, &[]);
    }
}

#[test]
fn updates() {
    let (mut both, mut draw) = start("updates", 3, 60);
    for _ in 0..1500 {
        let id = draw.below(60) as i32;
        let update = draw.update();
        let same = both.run(
            doc! { "findAndModify": "c", "query": { "_id": id }, "update": update, "new": true, "upsert": draw.below(2) == 0 },
            &[],
        );
        // What has gone wrong once, or grown too far, starts anew.
        if !same || draw.below(10) == 0 {
            let mut fresh = doc! { "_id": id };
            fresh.extend(draw.fields(&FIELDS, 2));
            both.run(
                doc! { "update": "c", "updates": [{ "q": { "_id": id }, "u": fresh, "upsert": true }] },
                &[],
            );
        }
    }
}

#[test]
fn upserts_and_bulk_writes() {
    let (mut both, mut draw) = start("upserts", 4, 30);
    for i in 0..600 {
        let filter = draw.filter(1);
        let update = if draw.below(4) == 0 { draw.fields(&FIELDS, 1) } else { draw.update() };
        let statement = doc! { "q": filter, "u": update, "upsert": true, "multi": false };
        both.run(doc! { "update": "c", "updates": [statement] }, &[]);
        both.run(doc! { "delete": "c", "deletes": [{ "q": draw.filter(1), "limit": 1 }] }, &[]);
        if i % 20 == 0 {
            both.run(doc! { "find": "c", "sort": { "_id": 1 }, "batchSize": 1000 }, &[]);
            both.run(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }] }, &[]);
            both.fill(&mut draw, 30);
        }
    }
}

#[test]
fn expressions() {
    let (mut both, mut draw) = start("expressions", 5, 25);
    for _ in 0..1000 {
        let expression = draw.expression(2);
        let pipeline = vec![
            doc! { "$match": { "_id": draw.below(25) as i32 } },
            doc! { "$project": { "v": expression } },
        ];
        both.run(doc! { "aggregate": "c", "pipeline": pipeline, "cursor": {} }, &["errors"]);
    }
}
