//! The columns of a call, for every statement that reads whole calls.

macro_rules! call_columns {
    () => {
        "calls.id, calls.sid, calls.direction, calls.kind, calls.operator_number, calls.to_number, calls.from_number, \
         calls.keyterms, calls.tag, calls.title, calls.file_name, calls.import, calls.state, calls.reason, calls.code, calls.deletion, calls.created_at, calls.ended_at, \
         calls.checked_at, calls.price_millionths, calls.price_unit, \
         (SELECT contacts.name FROM contacts WHERE contacts.number = CASE WHEN calls.direction = 'outbound' \
         THEN calls.to_number ELSE calls.from_number END) AS contact"
    };
}
pub(super) use call_columns;
