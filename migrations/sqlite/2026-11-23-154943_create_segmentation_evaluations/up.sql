-- What splitting or merging groups would bring, and what it brought.
CREATE TABLE segmentation_evaluations (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    phase TEXT NOT NULL,
    forecast_id BLOB REFERENCES segmentation_evaluations (id),
    purpose TEXT NOT NULL,
    currency TEXT NOT NULL,
    horizon_months INTEGER NOT NULL,
    source_groups TEXT NOT NULL,
    target_groups TEXT NOT NULL,
    items TEXT NOT NULL,
    limiting_factors TEXT NOT NULL,
    decision TEXT NOT NULL,
    result TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX segmentation_evaluations_forecast ON segmentation_evaluations (forecast_id);

-- How groups came to be out of others.
CREATE TABLE group_lineages (
    id BLOB PRIMARY KEY,
    operation TEXT NOT NULL,
    evaluation_id BLOB NOT NULL REFERENCES segmentation_evaluations (id),
    purpose TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    happened_on TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX group_lineages_evaluation ON group_lineages (evaluation_id);

CREATE TABLE group_lineage_groups (
    lineage_id BLOB NOT NULL REFERENCES group_lineages (id),
    group_id BLOB NOT NULL REFERENCES groups (id),
    side TEXT NOT NULL,
    member_count INTEGER NOT NULL,
    PRIMARY KEY (lineage_id, group_id, side)
) STRICT;
CREATE INDEX group_lineage_groups_group ON group_lineage_groups (group_id, lineage_id);
