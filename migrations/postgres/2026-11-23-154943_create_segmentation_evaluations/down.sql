DROP TABLE group_lineage_groups;
DROP TABLE group_lineages;
DROP TABLE segmentation_evaluations;
