//! The columns of a call and those of a delivery, for every statement that reads whole ones.

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

macro_rules! delivery_columns {
    () => {
        "number, id, receiver, item, event, call_id, call_sid, call_kind, recording_sid, transcript_id, outcome, reason, \
         version, is_checked, happened_at, state, attempts, due_at, answered_at, status, answer"
    };
}
pub(super) use delivery_columns;
