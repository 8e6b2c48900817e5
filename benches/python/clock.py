"""Writes down when it sees each event."""

import sys
import time

import pgq


class Clock(pgq.Consumer):
    def process_batch(self, db, batch_id, event_list):
        with open(self.cf.get("times"), "a") as out:
            for ev in event_list:
                out.write("%s %.6f\n" % (ev.ev_data, time.time()))


Clock("clock", "db", sys.argv[1:]).start()
