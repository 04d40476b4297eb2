-- What splitting or merging groups would bring, and what it brought.
CREATE TABLE segmentation_evaluations (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    phase text NOT NULL,
    forecast_id uuid REFERENCES segmentation_evaluations (id),
    purpose text NOT NULL,
    currency text NOT NULL,
    horizon_months integer NOT NULL,
    source_groups jsonb NOT NULL,
    target_groups jsonb NOT NULL,
    items jsonb NOT NULL,
    limiting_factors jsonb NOT NULL,
    decision text NOT NULL,
    result jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX segmentation_evaluations_forecast ON segmentation_evaluations (forecast_id);

-- How groups came to be out of others.
CREATE TABLE group_lineages (
    id uuid PRIMARY KEY,
    operation text NOT NULL,
    evaluation_id uuid NOT NULL REFERENCES segmentation_evaluations (id),
    purpose text NOT NULL,
    decided_by text NOT NULL,
    happened_on date NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX group_lineages_evaluation ON group_lineages (evaluation_id);

CREATE TABLE group_lineage_groups (
    lineage_id uuid NOT NULL REFERENCES group_lineages (id),
    group_id uuid NOT NULL REFERENCES groups (id),
    side text NOT NULL,
    member_count bigint NOT NULL,
    PRIMARY KEY (lineage_id, group_id, side)
);
CREATE INDEX group_lineage_groups_group ON group_lineage_groups (group_id, lineage_id);
