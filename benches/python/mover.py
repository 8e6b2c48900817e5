"""Moves the events of a queue into a queue of another database."""

import sys

import pgq

FIELDS = ["type", "data", "extra1", "extra2", "extra3", "extra4", "time"]


class Mover(pgq.SerialConsumer):
    def process_remote_batch(self, db, batch_id, event_list, dst_db):
        rows = [[ev.type, ev.data, ev.extra1, ev.extra2, ev.extra3, ev.extra4, ev.time] for ev in event_list]
        pgq.bulk_insert_events(dst_db.cursor(), rows, FIELDS, self.cf.get("dst_queue_name"))


Mover("queue_mover", "src_db", "dst_db", sys.argv[1:]).start()
