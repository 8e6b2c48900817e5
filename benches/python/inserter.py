"""Inserts events in bulk. Arguments: connection string, queue, number of events."""

import sys

import pgq
import skytools


TIME = "2024-01-01 12:00:00.123456+00"


def main(conninfo, queue, count):
    texts = [("id=%d&customer=%d&note=" % (i, i * 7919 % 100003)).ljust(75, "x") for i in range(1000)]
    rows = [["I", texts[i % len(texts)], "public.orders", TIME] for i in range(count)]
    db = skytools.connect_database(conninfo)
    pgq.bulk_insert_events(db.cursor(), rows, ["type", "data", "extra1", "time"], queue)
    db.commit()


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
