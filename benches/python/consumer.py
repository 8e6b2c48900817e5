"""Reads the events of a batch and does nothing with them."""

import sys

import pgq


class Consumer(pgq.Consumer):
    def process_batch(self, db, batch_id, event_list):
        for _ in event_list:
            pass
        expected = self.cf.getint("expected_events")
        if len(event_list) != expected:
            raise RuntimeError("%d events instead of %d" % (len(event_list), expected))


Consumer("consumer", "db", sys.argv[1:]).start()
